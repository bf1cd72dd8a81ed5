"""What the operating system tells: which process is which, what memory it takes, what this machine has."""

"""Which trainers run on this machine, where the progress of each can be read, and how each is found again."""

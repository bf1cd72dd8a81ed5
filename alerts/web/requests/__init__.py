"""What a request may hold, and whether it may change something."""

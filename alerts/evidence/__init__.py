"""What is gathered once when an alert fires, and goes with its message."""

"""The chart of an alert, drawn by a separate process."""

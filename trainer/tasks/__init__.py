"""Tasks: where the questions come from, and what their answers score; one file for each kind of source."""

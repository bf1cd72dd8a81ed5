"""A fleet's state and logs in a terminal."""

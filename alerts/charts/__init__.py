"""The picture that goes with an alert; a process of its own draws it."""

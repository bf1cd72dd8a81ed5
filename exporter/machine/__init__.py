"""What a machine tells a watcher elsewhere: which peers it has, and its own figures, once."""

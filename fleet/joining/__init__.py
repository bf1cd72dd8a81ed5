"""How this machine lets a watcher on another one watch it: its secrets, its section of the file, the request."""

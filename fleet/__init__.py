"""The configuration file, the process manager and the `peerwatch` command."""

"""The processes of a fleet and their files, below any service manager."""

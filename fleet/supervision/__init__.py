"""What acts on a fleet: runs it in the foreground, installs and changes its services."""

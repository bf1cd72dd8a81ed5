"""Service managers that can run a fleet: each renders its own files from the planned programs."""

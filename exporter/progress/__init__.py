"""Where a trainer's progress is read from: one reader file for each format, all giving records of one shape."""

"""Where a trainer's progress is read from: readers that give records of one shape, and the model that they feed."""

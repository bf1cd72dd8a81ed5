"""What a fleet decides for its machine: what each peer is given, and how many peers fit."""

"""What a person sees of a fleet in a terminal."""

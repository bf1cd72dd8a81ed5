"""What all processes share about files: configuration as YAML, databases, locks."""

"""Reads `peerwatch.yaml` into the configuration of every process, and collects every error."""

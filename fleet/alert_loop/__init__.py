"""Clients of the running alert loop."""

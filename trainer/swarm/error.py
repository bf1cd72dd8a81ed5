"""A failure of the swarm, as one line for the user."""


class SwarmError(Exception):
    """The DHT failed to start, was lost, or did not respond."""

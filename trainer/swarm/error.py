"""What goes wrong between a peer and its swarm, as one line for the user."""


class SwarmError(Exception):
    """The DHT could not be started, was lost, or did not answer."""

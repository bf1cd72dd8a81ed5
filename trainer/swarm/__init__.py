"""The peer in the swarm: its identity, its DHT, what it publishes, and what an earlier run left behind."""

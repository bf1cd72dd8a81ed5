"""The GRPO peer: swarm protocol, rounds and stages, rewards."""

"""What a checkout of rl-swarm is, how several instances share one, and where its log-in is kept."""

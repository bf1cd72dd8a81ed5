"""What reads and exposes: the sidecar with its collectors, the trainer's telemetry, and the leaderboard service."""

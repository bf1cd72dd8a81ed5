"""`peerwatch doctor`: looks at what really breaks on this machine, and names the remedy."""

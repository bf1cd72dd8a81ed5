"""`peerwatch doctor`: checks for what breaks peers on this machine, each finding with its remedy."""

"""The sidecar's page over HTTP: requests, answers, connections, certificates."""

"""The alert loop over HTTP: status page, JSON, actions, login."""

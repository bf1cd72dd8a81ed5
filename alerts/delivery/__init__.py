"""Who is notified, when, and again until the service has taken it."""

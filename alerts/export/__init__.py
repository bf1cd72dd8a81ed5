"""The same rules, routes and targets for Prometheus and Alertmanager."""

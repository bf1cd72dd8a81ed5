"""Dashboards generated from the metric definitions, and the provisioning of Prometheus, Alertmanager and Grafana.

series        selectors that accept only exported metrics
panels        one function for each kind of panel
frame         what all dashboards share: variables, links, annotations
thresholds    where colours change, from the rules' defaults
machine, monitoring, learning, resources, leaderboard, sources: one section of a dashboard each
states        a peer's state as one number, and its value mappings
dashboards/   one module per dashboard, the generated JSON beside it
prometheus    the Prometheus configuration of a fleet (does not need the Grafana SDK)
provisioning/ files for Prometheus, Alertmanager and Grafana as compose.yaml mounts them

`python -m grafana` regenerates every file; it needs the extra `dashboards`.
"""

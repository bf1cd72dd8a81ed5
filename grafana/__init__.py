"""Dashboards made from the metrics' definitions, and what Prometheus, Alertmanager and Grafana need to show them.

series        selectors over metrics that are known to exist
panels        one function for each kind of panel
frame         what all dashboards share: variables, links, annotations, colours
thresholds    where colours change
machine, watchers, learning, resources, leaderboard: one section of a dashboard each
states        a peer's state as one number, and how it is shown
dashboards/   one module a dashboard, the generated JSON beside it
prometheus    Prometheus' configuration for a fleet (needs no Grafana SDK)
provisioning/ files for Prometheus, Alertmanager and Grafana as compose.yaml mounts them

`python -m grafana` writes every generated file anew; it needs the extra `dashboards`.
"""

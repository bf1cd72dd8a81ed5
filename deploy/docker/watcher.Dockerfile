# The alert loop, and the sidecar: docker build -f deploy/docker/watcher.Dockerfile -t peerwatch-watcher .
# Needs no right, and writes only where something is mounted: run it with --read-only --tmpfs /tmp and a volume at /state.
FROM python:3.11-slim-bookworm AS build
COPY pyproject.toml constraints.txt README.md LICENSE /source/
COPY alerts /source/alerts
COPY exporter /source/exporter
COPY fleet /source/fleet
COPY grafana /source/grafana
COPY trainer /source/trainer
RUN python3 -m venv /opt/peerwatch \
    && /opt/peerwatch/bin/pip install --no-cache-dir --disable-pip-version-check -c /source/constraints.txt /source

FROM python:3.11-slim-bookworm
RUN groupadd --gid 10001 peerwatch \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin peerwatch
COPY --from=build /opt/peerwatch /opt/peerwatch
ENV PATH=/opt/peerwatch/bin:/usr/local/bin:/usr/bin:/bin PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
WORKDIR /tmp
ENTRYPOINT ["python"]
CMD ["-m", "alerts", "--config", "/settings/alerts.yaml"]

# One peer: docker build -f deploy/docker/trainer.Dockerfile -t peerwatch-trainer .
# Needs no right, and writes only where something is mounted: run it with --read-only --tmpfs /tmp and a volume at /peer.
# Torch for the processor alone makes the image much smaller: --build-arg PIP_EXTRA_INDEX_URL with the index that has it.
FROM python:3.11-slim-bookworm AS build
# Some packages of reasoning-gym are built here; the image itself has no compiler.
RUN apt-get update && apt-get install --yes --no-install-recommends gcc libc6-dev
COPY pyproject.toml constraints.txt README.md LICENSE /source/
COPY alerts /source/alerts
COPY exporter /source/exporter
COPY fleet /source/fleet
COPY grafana /source/grafana
COPY trainer /source/trainer
ARG PIP_EXTRA_INDEX_URL
RUN python3 -m venv /opt/peerwatch \
    && /opt/peerwatch/bin/pip install --no-cache-dir --disable-pip-version-check -c /source/constraints.txt "/source[leaderboard,lora,trainer]"

FROM python:3.11-slim-bookworm
RUN groupadd --gid 10001 peerwatch \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin peerwatch
COPY --from=build /opt/peerwatch /opt/peerwatch
ENV PATH=/opt/peerwatch/bin:/usr/local/bin:/usr/bin:/bin PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
WORKDIR /tmp
ENTRYPOINT ["python"]
CMD ["-m", "trainer", "--config", "/peer/trainer.yaml"]

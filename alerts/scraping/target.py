"""A sidecar to scrape."""

from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, StringConstraints

from alerts.settings import Name, Settings

# The labels that service discovery adds itself are not the user's to set.
LabelName = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$")]


def _check_target_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must be the http:// or https:// address of a sidecar's /metrics")
    return url


class Target(Settings):
    """A peer's sidecar. `run_dir` is the trainer's run folder on this host, from which alerts get evidence."""

    peer: Name
    url: Annotated[str, AfterValidator(_check_target_url)]
    labels: dict[LabelName, str] = Field(default_factory=dict)
    run_dir: Path | None = None

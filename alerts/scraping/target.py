"""A sidecar to scrape."""

from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from alerts.secret_references import SecretReference
from alerts.settings import Name, Settings

# The labels that service discovery adds itself are not the user's to set.
LabelName = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$")]


def check_http_url(url: str) -> str:
    """The URL unchanged. Raises ValueError, which does not show it."""
    try:
        parts = urlsplit(url)
        is_complete = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_complete = False
    if not is_complete:
        raise ValueError(
            "must be an http:// or https:// address with a host, and a port if any, such as http://127.0.0.1:9700"
        )
    return url


class Target(Settings):
    """A peer's sidecar. `run_dir` is the trainer's run folder on this host, from which alerts get evidence.

    `restartable`: whether its process manager starts the trainer again; else no rule ends it. `machine` is where it
    runs if not here; `login` is `user:password` or a reference to it, `certificate` the only one that it may have.
    `pushed`: its machine pushes its page, and it has no address.
    """

    peer: Name
    url: Annotated[str, AfterValidator(check_http_url)] = ""
    labels: dict[LabelName, str] = Field(default_factory=dict)
    run_dir: Path | None = None
    restartable: bool = True
    machine: str = ""
    pushed: bool = False
    login: SecretReference | None = None
    certificate: Path | None = None

    @model_validator(mode="after")
    def _check_way(self) -> Self:
        if self.pushed == bool(self.url):
            raise ValueError("needs either `url`, or `pushed`")
        return self


class Machine(Settings):
    """A machine elsewhere, whose peers are watched; one of its sidecars, at `url`, lists the others.

    `login` is `user:password` or a reference to it; `certificate` is the only one that its sidecars may have. A machine
    that `pushes` has no `url`; the password is what it shows then.
    """

    name: Name
    url: Annotated[str, AfterValidator(check_http_url)] = ""
    pushes: bool = False
    login: SecretReference | None = None
    certificate: Path | None = None

    @model_validator(mode="after")
    def _check_way(self) -> Self:
        if self.pushes == bool(self.url):
            raise ValueError("needs either `url`, or `pushes`")
        if self.pushes and self.login is None:
            raise ValueError("pushes: needs `login`, by which the machine is known")
        return self

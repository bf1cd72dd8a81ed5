"""Settings of the delivery: routes, grouping, quiet hours, digest, language."""

from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from alerts.delivery.quiet_hours import QuietHours, TimeOfDay
from alerts.durations import Duration
from alerts.i18n import Language
from alerts.i18n.zones import ZoneName
from alerts.messages.templating import Templates
from alerts.rules import Severity
from alerts.scraping.target import check_http_url
from alerts.secret_references import SecretReference
from alerts.settings import Name, Settings
from exporter.serving.host_names import is_loopback

# Between two attempts to reach the first one, and for an answer that is due.
_LONGEST_PAUSE_SECONDS = 5.0
_LONGEST_WAIT_SECONDS = 10.0


def _check_templates(folder: Path) -> Path:
    Templates(folder)
    return folder


TemplateFolder = Annotated[Path, AfterValidator(_check_templates)]


class Route(Settings):
    """A receiver of notifications: an apprise URL, which may have references to secrets."""

    name: Name
    url: SecretReference
    severities: tuple[Severity, ...] = Field(
        default=(), description="the severities that it is notified of; all if empty"
    )
    after: Duration = Field(
        default=0.0, description="how long an alert fires, unacknowledged, before this route is notified"
    )
    quiet: QuietHours | None = None
    watchdog: Annotated[Duration, Field(ge=10)] | None = Field(
        default=None,
        description="how often it gets the watchdog, and nothing else: for a service that alerts when this stops",
    )
    commands: bool = Field(
        default=False, description="Telegram only: accept the chat's commands and add buttons to messages"
    )
    templates: TemplateFolder | None = Field(
        default=None, description="overrides the common `templates` for this route"
    )


class DeadMan(Settings):
    """A dead man's switch: a service that expects the loop's heartbeats and alerts when they stop."""

    url: SecretReference
    every: Annotated[Duration, Field(ge=1)] = 60.0


def _check_url(url: str) -> str:
    parts = urlsplit(check_http_url(url))
    if parts.username is not None or parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError("must be an address alone, such as https://watcher.example.org:8750")
    if parts.scheme != "https" and not is_loopback(parts.hostname or ""):
        raise ValueError("the token would be sent unencrypted; use https:// (plain http:// is for this machine only)")
    return url.rstrip("/")


class StandbyOf(Settings):
    """The first watcher: its address, the file with its token, and how long it may be silent."""

    url: Annotated[str, AfterValidator(_check_url)]
    token_file: Path = Field(description="the first watcher's standby.token, copied to this machine")
    after: Annotated[Duration, Field(ge=2, le=3600)] = Field(
        default=60.0, description="how long the first watcher may be silent before this one notifies"
    )

    @property
    def pause_seconds(self) -> float:
        """How long an attempt may take, and the pause after one that failed."""
        return min(_LONGEST_PAUSE_SECONDS, self.after / 8)

    @property
    def wait_seconds(self) -> float:
        """How long the first one may keep back an answer that has nothing new."""
        return min(_LONGEST_WAIT_SECONDS, self.after / 8)


class Grouping(Settings):
    """How long an alert waits for others, and the least time between two messages."""

    wait: Duration = 2.0
    interval: Duration = 30.0


class DeliverySettings(Settings):
    """The part of the alert loop's configuration that sets who is notified, how and when."""

    fleet: Name
    routes: tuple[Route, ...] = ()
    grouping: Grouping = Grouping()
    timezone: ZoneName | None = Field(default=None, description="for quiet hours and the digest; else this host's")
    digest: TimeOfDay | None = Field(
        default=None, description="when a daily summary is sent, to routes without `after`"
    )
    deadman: DeadMan | None = None
    standby_of: StandbyOf | None = Field(
        default=None, description="another watcher of the same fleet: this one notifies only while that one is gone"
    )
    language: Language = "en"
    templates: TemplateFolder | None = Field(
        default=None, description="folder with your own title.txt, body.txt or body.html"
    )

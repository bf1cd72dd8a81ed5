"""Settings of the delivery: routes, grouping, quiet hours, digest, language."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from alerts.delivery.quiet_hours import QuietHours, TimeOfDay
from alerts.durations import Duration
from alerts.i18n import Language
from alerts.i18n.zones import ZoneName
from alerts.messages.templating import Templates
from alerts.rules import Severity
from alerts.secret_references import SecretReference
from alerts.settings import Name, Settings


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
    language: Language = "en"
    templates: TemplateFolder | None = Field(
        default=None, description="folder with your own title.txt, body.txt or body.html"
    )

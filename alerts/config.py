"""The alert loop's configuration, and its rules' settings by rule name."""

import ipaddress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Self

from pydantic import AfterValidator, Field, StringConstraints, ValidationError, create_model, model_validator

from alerts.delivery.settings import DeliverySettings
from alerts.durations import Duration
from alerts.history.settings import HistorySettings
from alerts.restarts.policy import RestartPolicy
from alerts.rules import RuleSettings, discover
from alerts.scraping.target import Machine, Target, check_http_url
from alerts.secret_references import SecretReference
from alerts.settings import Name, Settings
from exporter.files import yaml_text
from exporter.serving.listen_address import is_host_name, split_listen

# In the state folder: the token for changes over HTTP.
TOKEN_FILE = "api.token"


def _check_listen(listen: str) -> str:
    split_listen(listen)
    return listen


def _check_host(host: str) -> str:
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        if not is_host_name(host):
            raise ValueError("must be a host's name or address alone, without scheme and port") from None
    return host


def is_loopback(host: str) -> bool:
    """Whether the address is reachable from this machine only."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


class Login(Settings):
    """The status page's login; `password` may be a reference to a secret."""

    user: Annotated[Name, StringConstraints(pattern=r"^[^:]+$")] = "operator"
    password: SecretReference


class Tls(Settings):
    """The status page's PEM files: the certificate chain, its own certificate first, and the key."""

    certificate: Path
    key: Path


class RuleTable(Settings):
    """The settings of every rule; the fields are the names of the discovered rules."""

    def of(self, rule: str) -> RuleSettings:
        settings: RuleSettings = getattr(self, rule)
        return settings


if TYPE_CHECKING:
    Rules = RuleTable
else:
    Rules = create_model(
        "Rules", __base__=RuleTable, **{name: (rule.settings, rule.settings()) for name, rule in discover().items()}
    )


class AlertsConfig(DeliverySettings):
    """The configuration of `python -m alerts`. `state_dir` holds alerts.sqlite."""

    state_dir: Path
    listen: Annotated[str, AfterValidator(_check_listen)] = "127.0.0.1:8750"
    allowed_hosts: tuple[Annotated[str, AfterValidator(_check_host)], ...] = Field(
        default=(), description="further host names that the page accepts"
    )
    login: Login | None = None
    tls: Tls | None = None
    interval: Annotated[Duration, Field(ge=0.1, le=3600)] = 15.0
    timeout: Annotated[Duration, Field(gt=0, le=600)] = 5.0
    targets: tuple[Target, ...] = ()
    machines: tuple[Machine, ...] = Field(default=(), description="machines elsewhere, whose peers are watched too")
    leaderboard_url: Annotated[str, AfterValidator(check_http_url)] | None = None
    grafana_url: Annotated[str, AfterValidator(check_http_url)] | None = Field(
        default=None, description="Grafana with Peerwatch's dashboards; peers' pages link there"
    )
    reminder: Duration = 4 * 3600.0
    history: HistorySettings = HistorySettings()
    charts: bool = Field(default=True, description="whether alerts have a chart, if matplotlib is installed")
    restarts: RestartPolicy = RestartPolicy()
    rules: Rules = Rules()

    @model_validator(mode="after")
    def _check_restarts_can_help(self) -> Self:
        useless = [name for name, rule in discover().items() if self.rules.of(name).restart and not rule.restart]
        if useless:
            raise ValueError(f"{', '.join(useless)}: a restart does not resolve this alert; remove `restart`")
        return self

    @model_validator(mode="after")
    def _check_the_watchdog_is_enabled(self) -> Self:
        waiting = [route.name for route in self.routes if route.watchdog]
        if waiting and not self.rules.of("Watchdog").enabled:
            raise ValueError(f"route {waiting[0]}: `watchdog` needs rules: Watchdog: {{enabled: true}}")
        return self

    @model_validator(mode="after")
    def _check_is_safe_to_reach(self) -> Self:
        host, _ = split_listen(self.listen)
        missing = [name for name, found in (("login", self.login), ("tls", self.tls)) if found is None]
        if missing and not is_loopback(host):
            raise ValueError(
                f"the status page would listen on {host}, reachable from other hosts, without {' and '.join(missing)}; "
                f"set {' and '.join(missing)}, or listen on 127.0.0.1"
            )
        return self

    @model_validator(mode="after")
    def _check_names_are_unique(self) -> Self:
        for kind, names in (
            ("peer of a target", [target.peer for target in self.targets]),
            ("route name", [route.name for route in self.routes]),
            ("machine name", [machine.name for machine in self.machines]),
        ):
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise ValueError(f"duplicate {kind}: {', '.join(twice)}; give each its own")
        return self

    def secrets(self) -> list[tuple[tuple[str | int, ...], str]]:
        """Each reference to a secret, as in the configuration, with its location."""
        found: list[tuple[tuple[str | int, ...], str]] = [
            (("routes", index, "url"), route.url.get_secret_value()) for index, route in enumerate(self.routes)
        ]
        if self.deadman is not None:
            found.append((("deadman", "url"), self.deadman.url.get_secret_value()))
        if self.login is not None:
            found.append((("login", "password"), self.login.password.get_secret_value()))
        for index, machine in enumerate(self.machines):
            if machine.login is not None:
                found.append((("machines", index, "login"), machine.login.get_secret_value()))
        return found


class ConfigError(Exception):
    """An invalid configuration; the text has one line per error and shows no value."""


def load(path: Path) -> AlertsConfig:
    """Reads and validates a configuration file; raises ConfigError."""
    try:
        content = yaml_text.load(path)
    except ValueError as error:
        raise ConfigError(str(error)) from None
    # The previous release wrote these two in seconds; its services run this one until they are reinstalled.
    for name in ("interval", "timeout"):
        if f"{name}_seconds" in content:
            content[name] = f"{content.pop(f'{name}_seconds')}s"
    try:
        return AlertsConfig.model_validate(content)
    except ValidationError as error:
        raise ConfigError("\n".join(f"{path}: {line}" for line in describe_errors(error))) from None


def describe_errors(error: ValidationError) -> list[str]:
    """One line per error, with its location; never the value, which may be a secret."""
    return [
        f"{'.'.join(str(part) for part in one['loc']) or 'the file'}: {one['msg'].removeprefix('Value error, ')}"
        for one in error.errors(include_url=False, include_context=False, include_input=False)
    ]

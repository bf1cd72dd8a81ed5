"""Asks the machines elsewhere for their peers, again and again."""

import asyncio
import logging
import ssl
from collections.abc import Mapping

from alerts.config import AlertsConfig
from alerts.machines.membership import Roster
from alerts.scraping.connection import BrokenError, PageConnection, RefusedError
from alerts.scraping.target import Machine
from exporter.machine.machine_file import MAX_BYTES, parse_machine
from exporter.serving.trust import trust

MOST_SECONDS = 60.0
INTERVALS = 4
# Until each machine has told its peers.
RETRY_SECONDS = 5.0
BUFFER_BYTES = 16 * 1024

log = logging.getLogger(__name__)


def pause_seconds(config: AlertsConfig) -> float:
    """How often a machine is asked for its peers."""
    return min(MOST_SECONDS, INTERVALS * config.interval)


class Discovery:
    """Reads `/machine` of each machine that can be asked; what one does not answer is as it was."""

    def __init__(self, config: AlertsConfig, roster: Roster, logins: Mapping[str, str]) -> None:
        """`logins` are `user:password` by machine."""
        self._config = config
        self._roster = roster
        self._failures: dict[str, str] = {}
        buffer = memoryview(bytearray(BUFFER_BYTES))
        self._connections = {
            machine.name: PageConnection(
                _list_url(machine),
                buffer,
                lambda page: parse_machine(bytes(page)),
                trust(machine.certificate) if machine.url.startswith("https:") else None,
                login=logins.get(machine.name, ""),
                max_bytes=MAX_BYTES,
            )
            for machine in config.machines
            if not machine.pushes
        }

    async def run(self) -> None:
        """Asks once a minute, new machines more often."""
        while True:
            await self.refresh()
            is_complete = self._roster.knows(self._connections)
            await asyncio.sleep(pause_seconds(self._config) if is_complete else RETRY_SECONDS)

    async def refresh(self) -> None:
        """Asks each machine once."""
        for name, peers in await asyncio.gather(*(self._ask(name) for name in self._connections)):
            if peers is not None:
                self._roster.note(name, peers)

    async def _ask(self, name: str) -> tuple[str, Mapping[str, int] | None]:
        failure = ""
        try:
            async with asyncio.timeout(self._config.timeout):
                return name, (await self._connections[name].fetch()).peers
        except TimeoutError:
            failure = f"no answer within {self._config.timeout:g} s"
        except ssl.SSLCertVerificationError:
            failure = "its certificate is not the one that it joined with"
        except (OSError, BrokenError) as error:
            failure = "no connection" if isinstance(error, OSError) else "the connection broke"
        except RefusedError as error:
            failure = str(error.args[0])
        except ValueError as error:
            failure = f"its list of peers cannot be read: {error}"
        finally:
            if failure != self._failures.get(name, ""):
                log.warning("machine %s: %s", name, failure) if failure else log.info("machine %s answers", name)
            self._failures[name] = failure
        return name, None


def _list_url(machine: Machine) -> str:
    return machine.url.rstrip("/").removesuffix("/metrics") + "/machine"

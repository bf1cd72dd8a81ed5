"""Asks the machines elsewhere for their peers, again and again."""

import asyncio
import logging
import ssl
from collections.abc import Callable, Mapping

from alerts.config import AlertsConfig
from alerts.machines.membership import Membership, find_changed, write_membership
from alerts.scraping.connection import BrokenError, PageConnection, RefusedError
from alerts.scraping.scraper import trust
from alerts.scraping.target import Machine
from exporter.machine.machine_file import MAX_BYTES, parse_machine

INTERVAL_SECONDS = 60.0
# Until each machine has told its peers.
RETRY_SECONDS = 5.0
BUFFER_BYTES = 16 * 1024

log = logging.getLogger(__name__)


class Discovery:
    """Reads `/machine` of each machine; what one does not answer is as it was."""

    def __init__(self, config: AlertsConfig, known: Membership, logins: Mapping[str, str]) -> None:
        """`logins` are `user:password` by machine."""
        self._config = config
        self._known = dict(known)
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
        }

    async def run(self, on_change: Callable[[], None]) -> None:
        """Asks once a minute, new machines more often; calls `on_change` when one has other peers than before."""
        while True:
            if await self.refresh():
                on_change()
            is_complete = self._connections.keys() <= self._known.keys()
            await asyncio.sleep(INTERVAL_SECONDS if is_complete else RETRY_SECONDS)

    async def refresh(self) -> bool:
        """Asks each machine once; whether what they have has changed, which is then written."""
        answers = await asyncio.gather(*(self._ask(name) for name in self._connections))
        found = {**self._known, **{name: peers for name, peers in answers if peers is not None}}
        changed = find_changed(self._config, self._known, found)
        if not changed:
            return False
        for name in changed:
            log.info("machine %s has the peers %s", name, ", ".join(found[name]))
        self._known = found
        try:
            write_membership(self._config.state_dir, found)
        except OSError as error:
            log.warning("cannot write the peers of the machines: %s", error)
            return False
        return True

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

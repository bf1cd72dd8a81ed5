"""Watches the alerts that request a restart, and restarts their peers as the policy says."""

import contextlib
import logging
import os
import threading
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path

from alerts.engine.evaluate import AlertStates, Key
from alerts.evidence.gather import RESTART_FILE, gather
from alerts.restart_record import PHASE_METRIC, Record
from alerts.restarts.ending import end_trainer
from alerts.restarts.policy import Facts, RestartPolicy, RestartRequest, step
from alerts.restarts.records import Records
from alerts.rules import discover
from alerts.scraping.page import Page

log = logging.getLogger(__name__)


class Restarter:
    """`rules` are those with `restart: true`; `run_dirs` the run folders of the peers of this machine.

    Peers that are not `restartable` are left alone: nobody would start them again.
    """

    def __init__(
        self,
        policy: RestartPolicy,
        rules: Collection[str],
        run_dirs: Mapping[str, Path],
        restartable: Collection[str],
        records: Records,
    ) -> None:
        self._policy = policy
        self._rules = frozenset(rules)
        self._run_dirs = {peer: run_dir for peer, run_dir in run_dirs.items() if peer in restartable}
        self._records = records
        for peer, record in list(records.all.items()):
            if peer not in self._run_dirs and record.phase != "idle":
                # Nothing would end this state any more, and others would wait for it.
                records.put(peer, replace(record, phase="idle"))
        left = sorted(set(run_dirs) - set(self._run_dirs))
        if rules and left:
            log.info("no rule restarts %s: somebody else starts and restarts them", ", ".join(left))

    @property
    def records(self) -> Mapping[str, Record]:
        """The record of each peer for which a rule has requested a restart."""
        return self._records.all

    def consider(
        self, alert_states: AlertStates, pages: Mapping[str, Page | None], hidden: Collection[Key], now: float
    ) -> None:
        """Acts on one evaluation. Alerts in `hidden` (silenced, acknowledged, inhibited) request nothing."""
        if not self._rules:
            return
        for peer, run_dir in self._run_dirs.items():
            page = pages.get(peer)
            # A peer that cannot be scraped is neither restarted nor given up.
            if page is None:
                continue
            before = self._records.all.get(peer, Record())
            request = self._find_request(peer, alert_states, hidden)
            others = (other.phase for name, other in self._records.all.items() if name != peer)
            is_other_restarting = "restarting" in others
            after, acts = step(
                before, request, _read_facts(page, run_dir), now, self._policy, is_other_restarting=is_other_restarting
            )
            if after == before:
                continue
            # Stored first: a loop that is killed now must not restart the peer a second time.
            self._records.put(peer, after)
            if after.phase != before.phase:
                log.info("peer %s: %s", peer, _describe(after))
            if acts:
                self._restart(peer, run_dir)

    def _find_request(self, peer: str, alert_states: AlertStates, hidden: Collection[Key]) -> RestartRequest | None:
        requests = [
            RestartRequest(key.rule, state.summary, discover()[key.rule].restart == "after a checkpoint")
            for key, state in sorted(alert_states.states.items())
            if key.peer == peer and key.rule in self._rules and state.phase == "firing" and key not in hidden
        ]
        return min(requests, key=lambda request: request.can_wait, default=None)

    def _restart(self, peer: str, run_dir: Path) -> None:
        with contextlib.suppress(OSError):
            (run_dir / RESTART_FILE).unlink(missing_ok=True)
        threading.Thread(target=_end, args=(peer, run_dir), name=f"restart-{peer}", daemon=True).start()


def add_record(page: Page | None, record: Record | None) -> Page | None:
    """The page of a peer with the phase of its restart, as the alert loop's own page has it."""
    if page is None or record is None:
        return page
    return page.plus(PHASE_METRIC, frozenset({("phase", str(record.phase))}), 1.0)


def _end(peer: str, run_dir: Path) -> None:
    """Keeps the evidence, then ends the trainer; its process manager starts it again."""
    try:
        _write_private(run_dir / RESTART_FILE, gather(("process", "waiting", "biggest", "log", "stacks"), run_dir))
    except OSError as error:
        log.warning("peer %s: cannot write %s: %s", peer, RESTART_FILE, error)
    try:
        has_ended = end_trainer(run_dir)
    except Exception:  # The policy gives the peer up if it does not train again.
        log.exception("peer %s could not be restarted", peer)
        return
    log.info("peer %s: %s", peer, "trainer exited" if has_ended else "no trainer to end")


def _read_facts(page: Page, run_dir: Path) -> Facts:
    return Facts(
        started=page.value("trainer_start_timestamp_seconds"),
        last_step=page.value("trainer_last_step_timestamp_seconds"),
        saved_at=find_save(page, run_dir),
        memory_bytes=page.value("trainer_memory_bytes", kind="footprint"),
    )


def find_save(page: Page, run_dir: Path) -> float | None:
    """When the peer last saved; without checkpoints, when it last published its reward."""
    saves = []
    with contextlib.suppress(OSError), os.scandir(run_dir / "checkpoints") as entries:
        for entry in entries:
            # The trainer may delete an old one meanwhile.
            with contextlib.suppress(OSError):
                if entry.is_dir():
                    saves.append(entry.stat().st_mtime)
    return max(saves, default=page.value("swarm_last_publish_timestamp_seconds"))


def _describe(record: Record) -> str:
    descriptions = {
        "waiting": "restart requested: waiting for a checkpoint",
        "restarting": f"restarting because of {record.rule}",
        "helped": "restart helped: training again",
        "useless": f"not restarted again for {record.rule}: {record.outcome}",
        "idle": "no restart requested any more",
    }
    return descriptions[record.phase]


def _write_private(path: Path, text: str) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "w") as file:
        file.write(text)

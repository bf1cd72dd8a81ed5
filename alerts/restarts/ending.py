"""Ends one trainer with its children, by its recorded PID and start time: SIGTERM first, then SIGKILL."""

import contextlib
import logging
from pathlib import Path

import psutil

from alerts.evidence.trainer_process import find_own_trainer
from exporter.run_folder import read_process_record, write_restart_request
from exporter.system.process_identity import is_running

# A trainer saves and exits within ten seconds of SIGTERM.
GRACE_SECONDS = 15.0
KILL_SECONDS = 5.0

log = logging.getLogger(__name__)


def end_trainer(run_dir: Path, *, grace_seconds: float = GRACE_SECONDS) -> bool:
    """Whether there was a trainer and it has exited. psutil signals a process only while its start time is the same."""
    trainer = find_own_trainer(run_dir)
    if trainer is None:
        return False
    record = read_process_record(run_dir)
    if record is not None:
        # Its launcher must not take a clean exit for the end of the run.
        with contextlib.suppress(OSError):
            write_restart_request(run_dir, record.identity)
    tree = [trainer]
    with contextlib.suppress(psutil.Error):
        tree += trainer.children(recursive=True)
    with contextlib.suppress(psutil.Error):
        trainer.terminate()
        # A stopped process handles SIGTERM only after SIGCONT.
        trainer.resume()
    _, alive = psutil.wait_procs([trainer], timeout=grace_seconds)
    left = [process for process in tree if process.is_running()]
    for process in left:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(left, timeout=KILL_SECONDS)
    if alive:
        log.warning("trainer %d did not exit within %g s of SIGTERM: killed", trainer.pid, grace_seconds)
    return not is_running(trainer)

"""The trainer's command line: `python -m trainer --config FILE`."""

import argparse
import logging
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from exporter import stacks
from exporter.plain_output import allow_any_text
from trainer import events
from trainer.config import TrainerConfig, load_config
from trainer.run import ConfigurationError, claim, train
from trainer.stopping import Stopper, StopRequested
from trainer.swarm.error import SwarmError

STOPPED, FAILED, INVALID_CONFIGURATION = 0, 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one peer. Returns the exit code."""
    allow_any_text()
    options = _parse(arguments)
    try:
        config = load_config(options.config)
        claim(config.run_dir)
    except (ValueError, ConfigurationError) as error:
        return _report(error, INVALID_CONFIGURATION)
    stopper = Stopper()
    _set_up_logs(config)
    try:
        finished = train(config, stopper)
    except StopRequested:
        finished = False
    except ConfigurationError as error:
        _record_exit("configuration", INVALID_CONFIGURATION, error)
        return _report(error, INVALID_CONFIGURATION)
    except SwarmError as error:
        _record_exit("swarm", FAILED, error)
        return _report(error, FAILED)
    except Exception as error:
        _record_exit("error", FAILED, error)
        raise
    code = options.finished_exit_code if finished else STOPPED
    _record_exit("finished" if finished else "stop requested", code)
    logging.getLogger("trainer").info("run finished" if finished else "stopped")
    return code


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m trainer",
        description="Trains one peer of an RL swarm with GRPO.",
        epilog="Example: python -m trainer --config peer-1.yaml. Exit codes: 0 stopped on request, 1 the swarm or "
        "the training failed, 2 invalid configuration. SIGUSR1 writes the stacks of all threads to stacks.log.",
    )
    parser.add_argument("--config", type=Path, required=True, metavar="FILE", help="the peer's YAML file")
    parser.add_argument(
        "--finished-exit-code",
        type=int,
        default=0,
        metavar="N",
        help="exit code once max_rounds or max_steps is reached",
    )
    return parser.parse_args(arguments)


def _set_up_logs(config: TrainerConfig) -> None:
    formatter = logging.Formatter("%(asctime)sZ %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(formatter)
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    for package in ("trainer", "exporter"):
        logging.getLogger(package).setLevel(logging.INFO)
    stacks.register(config.run_dir)


def _record_exit(reason: str, code: int, error: Exception | None = None) -> None:
    detail = None if error is None else f"{type(error).__name__}: {' '.join(str(error).split())}"
    events.record("exit", reason=reason, code=code, error=detail)


def _report(error: Exception, code: int) -> int:
    for line in str(error).splitlines():
        print(f"trainer: {line}", file=sys.stderr, flush=True)
    return code


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # Everything is saved and closed. The interpreter's exit is slow with torch loaded, and stops the deadline thread.
    os._exit(code)

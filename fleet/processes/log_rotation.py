"""Keeps a fleet's logs from filling the disk, for service managers that only append.

A log is copied and truncated, as its program keeps it open. What is written in between, within milliseconds, is lost.
"""

import argparse
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from exporter.plain_output import allow_any_text

MAX_BYTES = 20_000_000
KEPT = 3


def rotate(log: Path, max_bytes: int = MAX_BYTES, kept: int = KEPT) -> bool:
    """Whether the log was larger than `max_bytes`; then its lines are in `NAME.1`, and older ones in `NAME.2`, …"""
    if log.is_symlink() or log.stat().st_size <= max_bytes:
        return False
    copies = [log.with_name(f"{log.name}.{number}") for number in range(1, kept + 1)]
    for older, newer in zip(reversed(copies[1:]), reversed(copies[:-1]), strict=True):
        if newer.exists():
            newer.replace(older)
    scratch = log.with_name(f"{log.name}.new")
    shutil.copyfile(log, scratch)
    scratch.replace(copies[0])
    os.truncate(log, 0)
    return True


def main(arguments: Sequence[str] | None = None) -> int:
    allow_any_text()
    parser = argparse.ArgumentParser(
        prog="python -m fleet.processes.log_rotation",
        description=f"Rotate each log of a fleet above {MAX_BYTES // 10**6} MB, keeping {KEPT} older parts.",
        epilog="example: python -m fleet.processes.log_rotation ~/.local/state/peerwatch/attic",
    )
    parser.add_argument("folder", type=Path, help="the fleet's state folder")
    os.umask(0o077)
    status = 0
    folder: Path = parser.parse_args(arguments).folder
    for log in sorted([*folder.glob("*/*.log"), *folder.glob("peers/*/*.log")]):
        try:
            rotate(log)
        except OSError as error:
            print(f"{log}: {error.strerror}", file=sys.stderr)
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())

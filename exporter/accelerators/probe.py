"""`python -m exporter.accelerators.probe nvidia|apple SECONDS`: prints one reading; the kernel ends it in time."""

import signal
import sys
import time

from exporter.accelerators.reading import Reading, dump

# Printed before the library is loaded: from here on silence is the library's, and not that of a busy machine.
READY = b"\n"


def main(kind: str, seconds: int) -> int:
    """Returns the exit status."""
    # The default action ends the process, whatever its code waits for, and whether its parent still lives or not.
    signal.alarm(seconds)
    sys.stdout.buffer.write(READY)
    sys.stdout.flush()
    sys.stdout.buffer.write(dump(_read(kind, time.time())))
    return 0


def _read(kind: str, now: float) -> Reading:
    if kind == "apple":
        from exporter.accelerators import apple

        return apple.read(now)
    try:
        from exporter.accelerators import nvidia
    except ImportError:
        return Reading(now, unavailable="nvidia-ml-py is not installed: pip install nvidia-ml-py")
    from exporter.accelerators.xids import parse, read_kernel_log

    # The kernel's log counts without the time that the machine slept.
    return nvidia.read(now, parse(read_kernel_log(), uptime_seconds=time.monotonic()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2])))

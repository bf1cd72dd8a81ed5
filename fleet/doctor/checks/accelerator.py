"""The accelerators answer in time, and can be read."""

from collections.abc import Iterator

from exporter.accelerators.presence import find_kind
from exporter.accelerators.reading import Reading, load
from exporter.accelerators.shared_probe import LIMIT_SECONDS, probe_command
from fleet.doctor.findings import Finding, failure, ok, warning
from fleet.doctor.site import ProbeError, Site, run

_RESET = "reset it with `sudo nvidia-smi --gpu-reset`, or restart the machine"


def examine(site: Site) -> Iterator[Finding]:
    kind = find_kind(system=site.platform)
    if kind is None:
        yield ok("this machine has none")
        return
    try:
        reading = load(run(probe_command(kind, python=site.python)).encode())
    except ProbeError as error:
        # The probe is ended by a signal of its own clock.
        yield failure(f"no answer within {LIMIT_SECONDS} s: card or driver hangs ({error})", _RESET)
        return
    except ValueError as error:
        yield failure(f"the probe's answer cannot be read: {error}", "install Peerwatch again")
        return
    yield from judge(reading)


def judge(reading: Reading) -> Iterator[Finding]:
    """What a reading tells; pure."""
    if reading.unavailable:
        what, _, remedy = reading.unavailable.partition(": ")
        yield warning(f"cannot be read: {what}", remedy or "run `nvidia-smi`, which names the cause")
        return
    for one in reading.devices:
        if one.problem:
            yield failure(f"{one.name or 'an accelerator'} ({one.device or 'unknown'}): {one.problem}", _RESET)
    well = [f"{one.name} ({one.device})" for one in reading.devices if not one.problem]
    if well:
        yield ok(f"{', '.join(well)}: answered")
    elif not reading.devices:
        yield warning("the driver is there and lists no device", "run `nvidia-smi`, which names the cause")

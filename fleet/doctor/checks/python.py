"""Python's version, and no translation by Rosetta on a Mac."""

import json
from collections.abc import Iterator

from fleet.doctor.findings import Finding, failure, ok
from fleet.doctor.site import ProbeError, Site

OLDEST = (3, 11)
# proc_translated is 1 in a process that Rosetta translates (Apple, "About the Rosetta translation environment").
_CODE = """
import ctypes, json, platform, sys
translated = ctypes.c_int(0)
if sys.platform == "darwin":
    size = ctypes.c_size_t(4)
    ctypes.CDLL(None).sysctlbyname(b"sysctl.proc_translated", ctypes.byref(translated), ctypes.byref(size), None, 0)
print(json.dumps({"version": sys.version_info[:3], "machine": platform.machine(), "translated": translated.value}))
"""


def examine(site: Site) -> Iterator[Finding]:
    try:
        facts = json.loads(site.run_python(_CODE))
    except (ProbeError, ValueError) as error:
        yield failure(f"{site.python} does not run: {error}", "install Python 3.11 or newer, and Peerwatch in it")
        return
    version = ".".join(str(part) for part in facts["version"])
    if tuple(facts["version"]) < OLDEST:
        yield failure(f"Python {version} is too old", "install Peerwatch with Python 3.11 or newer")
    elif facts["translated"]:
        yield failure(
            f"Python {version} is built for Intel and runs translated on this Mac, without its GPU",
            "install Python for arm64, and Peerwatch in it",
        )
    else:
        yield ok(f"Python {version} on {facts['machine']}")

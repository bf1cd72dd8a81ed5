"""Whether there is an accelerator that can be asked, by facts that cost next to nothing: nothing is loaded for them."""

import os
import sys
from collections.abc import Callable
from typing import Literal

Kind = Literal["nvidia", "apple"]

# The driver's control device; its folder is there from loading on, the device from the first use on.
_NVIDIA = ("/dev/nvidiactl", "/proc/driver/nvidia/version")
# Every WSL2 has /dev/dxg, also for other makers' cards; this library is there for NVIDIA's only.
_WSL = ("/dev/dxg", "/usr/lib/wsl/lib/libnvidia-ml.so.1")


def find_kind(
    *,
    system: str = sys.platform,
    machine: Callable[[], str] = lambda: os.uname().machine,
    exists: Callable[[str], bool] = os.path.exists,
) -> Kind | None:
    """Which library can be asked here; None where there is no accelerator."""
    if system == "darwin":
        return "apple" if machine() == "arm64" else None
    if any(map(exists, _NVIDIA)) or all(map(exists, _WSL)):
        return "nvidia"
    return None

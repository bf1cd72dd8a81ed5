"""The trainer's packages load, and the peers' devices are present."""

import json
from collections.abc import Iterator
from typing import Any

from fleet.doctor.findings import Finding, failure, ok, warning
from fleet.doctor.site import ProbeError, Site

_CODE = """
import json, importlib.metadata, importlib.util
missing = [name for name in ("torch", "transformers", "trl", "hivemind") if importlib.util.find_spec(name) is None]
facts = {"missing": missing}
if "torch" not in missing:
    import torch
    facts |= {"version": torch.__version__, "cuda": torch.cuda.device_count() if torch.cuda.is_available() else 0,
              "mps": torch.backends.mps.is_available(), "for_cuda": torch.version.cuda is not None}
print(json.dumps(facts))
"""
_INSTALL = "pip install 'peerwatch[trainer]' in this environment"


IS_ABOUT_OUR_TRAINERS = True


def examine(site: Site) -> Iterator[Finding]:
    try:
        facts = json.loads(site.run_python(_CODE))
    except (ProbeError, ValueError) as error:
        yield failure(f"torch cannot be loaded: {error}", f"reinstall it: {_INSTALL}")
        return
    if facts["missing"]:
        yield failure(f"not installed: {', '.join(facts['missing'])}", _INSTALL)
        return
    yield from judge_devices(facts, _devices(site), site.platform)


def judge_devices(facts: dict[str, Any], wanted: set[str], platform: str) -> Iterator[Finding]:
    """`facts` are `version`, `cuda` (how many GPUs), `mps` and `for_cuda` (how torch was built)."""
    present = ["cpu"] + ["cuda"] * bool(facts["cuda"]) + ["mps"] * facts["mps"]
    for device in sorted(wanted - {"auto", *present}):
        why = "torch was built without it" if device == "cuda" and not facts["for_cuda"] else "torch finds none"
        yield failure(f"a peer is set to device {device}: {why}", f"set device: auto, or install torch for {device}")
    if "auto" in wanted and platform == "darwin" and not facts["mps"]:
        yield warning("torch cannot use this Mac's GPU and trains on the CPU", "install a newer macOS and torch")
    yield ok(f"torch {facts['version']}, devices: {', '.join(present)}")


def _devices(site: Site) -> set[str]:
    return {trainer.device for trainer in site.loaded.composition.trainers.values()}

"""Each of the workers collects all tests; that imports nothing that takes seconds to import."""

import subprocess
import sys

from tests.architecture import ROOT

SLOW = (
    *("datasets", "eth_tester", "hivemind", "matplotlib", "pandas", "peft", "scipy", "sklearn", "torch"),
    *("transformers", "trl"),
)
COLLECT = f"""
import sys, pytest
code = pytest.main(["--collect-only", "-q", "-n", "0", "-p", "no:cacheprovider", "-m", ""])
print("code", int(code), [name for name in {SLOW!r} if name in sys.modules])
"""


def test_collecting_imports_nothing_slow(collected: tuple[bool, frozenset[str]]) -> None:
    """A test module imports these within its tests, or names them by `tests.lazy`.

    A process that has collected all of them knows; another collects them in a process of its own.
    """
    is_all, modules = collected
    if is_all:
        assert not modules & set(SLOW)
        return
    done = subprocess.run([sys.executable, "-c", COLLECT], cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.stdout.splitlines()[-1] == "code 0 []", done.stdout[-2000:] + done.stderr[-2000:]

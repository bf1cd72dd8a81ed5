"""Starts alert loops by forking itself with all modules loaded: `CONFIG LOG` comes in, the child's number goes out.

A new interpreter takes a second to load what the loop needs, most of a life between two kills.
"""

import os
import signal
import sys
import warnings

warnings.simplefilter("ignore", DeprecationWarning)

from alerts import __main__ as program  # noqa: E402
from alerts.delivery.apprise_sender import Sender  # noqa: E402


def main() -> None:
    # Loads the plug-ins; nothing here starts a thread, which a fork would lose.
    Sender({"hook": "json://h", "mail": "mailto://h?from=a@example.org&to=b@example.org", "phone": "tgram://1:a/2"})
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        config, log = line.split()
        child = os.fork()
        if child == 0:
            _become_the_loop(config, log)
        print(child, flush=True)


def _become_the_loop(config: str, log: str) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), 2)
    os.dup2(2, 1)
    os.close(0)
    sys.argv = ["alerts", "--config", config]
    status = 1
    try:
        status = program.main()
    finally:
        os._exit(status)


if __name__ == "__main__":
    main()

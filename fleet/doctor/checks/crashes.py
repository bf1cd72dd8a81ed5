"""The end of the trainers' logs, for known problems with a remedy.

Lines before the last progress do not count: the trainer recovered from those errors. Some problems outlive it.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from fleet.doctor.findings import Finding, Level, ok
from fleet.doctor.site import Site

TAIL_BYTES = 1 << 20
MAX_LINE = 2000


class Class(NamedTuple):
    """One kind of trouble; `pattern` matches within a line. Some go on while rounds do: `outlives_progress`."""

    pattern: re.Pattern[str]
    message: str
    remedy: str
    level: Level = Level.FAILURE
    outlives_progress: bool = False


def _class(
    pattern: str, message: str, remedy: str, level: Level = Level.FAILURE, *, outlives_progress: bool = False
) -> Class:
    return Class(re.compile(pattern, re.IGNORECASE), message, remedy, level, outlives_progress)


# The first that matches a line names it.
CLASSES = (
    _class(
        r"killed: 9|^killed\b|out of memory: killed process|oom-kill|signal 9 \(SIGKILL\)",
        "the system killed the trainer, most likely for its memory",
        "run fewer peers or a smaller model; `peerwatch plan` says what fits",
    ),
    _class(
        r"out of memory|OutOfMemoryError|failed to allocate|cannot allocate memory|DefaultCPUAllocator",
        "a step needed more memory than there is",
        "lower the batch size, the number of completions or their length",
    ),
    _class(
        r"Identity from .* is already taken|identity .* already taken",
        "another process uses this peer's identity",
        "stop the other one, or give this peer a key of its own",
    ),
    _class(
        r"failed to connect to bootstrap peers|no initial peer (answers|could be reached)",
        "the swarm's initial peers could not be reached",
        "check the network and the addresses below swarm.initial_peers",
    ),
    _class(
        r"P2PDaemonError|Daemon failed to start in|p2pd.*(exited|terminated)",
        "hivemind's network daemon did not start",
        "check free memory, left-over p2pd processes and the limit on open files; then start the peer again",
    ),
    _class(
        r"DHT IPC error|\[Errno (11|35)\] Resource temporarily unavailable|BlockingIOError|EOFError: Ran out of input",
        "the connection to the DHT process broke; rl-swarm 0.4 crashes soon after",
        "restart the peer now, rather than later by itself",
    ),
    _class(
        r"api_key not configured \(no-tty\)|No API key configured|Enter your choice|must call wandb\.init\(\)",
        "wandb asks for a log-in that nobody can give",
        "start the trainer with WANDB_MODE=offline",
    ),
    _class(
        r"AA2[45]\b",
        "several peers of one account submitted at once",
        "start them some minutes apart, so that their submissions do not meet",
        Level.WARNING,
        outlives_progress=True,
    ),
    _class(
        r"Failed to submit to chain|api/submit-\w+.*(400|500)|(400|500) .*api/submit-|FailedOp|"
        r"endpoint.*(submit_reward|submit-winner)|calling (submit_reward|submit-winner)",
        "rewards are not accepted by the chain",
        "log in again at the log-in server, and look into its yarn.log",
        outlives_progress=True,
    ),
    _class(
        r"Could not fetch round and stage",
        "the chain did not answer when asked for the round",
        "wait; if it goes on, use another RPC address",
        Level.WARNING,
    ),
    _class(
        r"EADDRINUSE|Address already in use|port 3000 .*in use",
        "a port was in use",
        "end what a former run left behind, or choose other ports",
    ),
    _class(
        r"429 .*huggingface|huggingface.*(429|Too Many Requests)|RateLimitError",
        "Hugging Face refuses further downloads for a while",
        "wait an hour, or log in with a token of your own",
        Level.WARNING,
    ),
    _class(
        r"No space left on device|Errno 28\b",
        "the disk was full",
        "free some space, or set state_dir to another disk",
    ),
    _class(
        r"Too many open files|Errno 24\b",
        "the limit on open files was reached",
        "raise it: `ulimit -n 4096` before the start",
    ),
    _class(
        r"Error with swarm payloads, continuing with local state|Error occurred during training, continuing",
        "rounds go on, but nothing is learned or shared",
        "restart the peer; see the error above that line in its log",
        Level.WARNING,
        outlives_progress=True,
    ),
    _class(
        r"Exception during training|Encountered error during training|Exception occurred during game run|"
        r"An error was detected while running rl-swarm|Training timed out!",
        "the trainer ended with an error",
        "see the lines before it in the log",
    ),
)
# After one of these the trainer has got over what came before.
PROGRESS = re.compile(
    r"Joining round: \d+|Starting round: \d+/|Training round: \d+|Finished training round|Submitting winners for round|"
    r"'reward'|\bstep[= ]\d+\b|\bround \d+, stage \d+\b"
)


def examine(site: Site) -> Iterator[Finding]:
    found = False
    for log, title in _logs(site):
        for trouble, count in classify(_tail(log)):
            found = True
            times = f", {count} times" if count > 1 else ""
            yield Finding(trouble.level, f"{title}: {trouble.message} ({log.name}{times})", trouble.remedy)
    if not found:
        yield ok("no known trouble at the end of the trainers' logs")


def classify(text: str) -> list[tuple[Class, int]]:
    """The problems since the last progress, with how many lines say so, in the order of the table."""
    counts: dict[Class, int] = {}
    for line in text.splitlines():
        line = line[:MAX_LINE]
        trouble = next((one for one in CLASSES if one.pattern.search(line)), None)
        if trouble is not None:
            counts[trouble] = counts.get(trouble, 0) + 1
        elif PROGRESS.search(line):
            counts = {trouble: count for trouble, count in counts.items() if trouble.outlives_progress}
    return [(trouble, counts[trouble]) for trouble in CLASSES if trouble in counts]


def _logs(site: Site) -> Iterator[tuple[Path, str]]:
    seen = set()
    for peer in site.loaded.peers:
        log = site.loaded.folder.peer(peer.name) / "trainer.log"
        seen.add(log.resolve())
        yield log, f"peer {peer.name}"
    for trainer in site.trainers:
        folder = trainer.log_folder
        for log in sorted(folder.glob("*.log"))[:50] if folder and folder.is_dir() else ():
            if log.resolve() not in seen and log.name != "sidecar.log":
                seen.add(log.resolve())
                yield log, trainer.title


def _tail(log: Path) -> str:
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - TAIL_BYTES))
            return file.read(TAIL_BYTES).decode(errors="replace")
    except OSError:
        return ""

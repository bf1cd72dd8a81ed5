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
    """One kind of problem; `pattern` matches within a line. Some persist while rounds go on: `outlives_progress`."""

    pattern: re.Pattern[str]
    message: str
    remedy: str
    level: Level = Level.FAILURE
    outlives_progress: bool = False


def _class(
    pattern: str, message: str, remedy: str, level: Level = Level.FAILURE, *, outlives_progress: bool = False
) -> Class:
    return Class(re.compile(pattern, re.IGNORECASE), message, remedy, level, outlives_progress)


# The first match classifies a line.
CLASSES = (
    _class(
        r"killed: 9|^killed\b|out of memory: killed process|oom-kill|signal 9 \(SIGKILL\)",
        "the system killed the trainer, most likely out of memory",
        "run fewer peers or a smaller model; `peerwatch plan` says what fits",
    ),
    _class(
        r"out of memory|OutOfMemoryError|failed to allocate|cannot allocate memory|DefaultCPUAllocator",
        "a step ran out of memory",
        "lower the batch size, the number of completions or their length",
    ),
    _class(
        r"Identity from .* is already taken|identity .* already taken",
        "another process uses this peer's identity",
        "stop the other one, or give this peer its own key",
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
        "restart the peer now, before it crashes",
    ),
    _class(
        r"api_key not configured \(no-tty\)|No API key configured|Enter your choice|must call wandb\.init\(\)",
        "wandb waits for a log-in without a terminal",
        "start the trainer with WANDB_MODE=offline",
    ),
    _class(
        r"AA2[45]\b",
        "several peers of one account submitted at once",
        "start them some minutes apart, so that their submissions do not collide",
        Level.WARNING,
        outlives_progress=True,
    ),
    _class(
        r"Failed to submit to chain|api/submit-\w+.*(400|500)|(400|500) .*api/submit-|FailedOp|"
        r"endpoint.*(submit_reward|submit-winner)|calling (submit_reward|submit-winner)",
        "rewards are not accepted by the chain",
        "log in again at the log-in server, and see its yarn.log",
        outlives_progress=True,
    ),
    _class(
        r"Could not fetch round and stage",
        "the chain did not answer when asked for the round",
        "wait; if it persists, use another RPC address",
        Level.WARNING,
    ),
    _class(
        r"EADDRINUSE|Address already in use|port 3000 .*in use",
        "a port was in use",
        "end leftovers of an earlier run, or choose other ports",
    ),
    _class(
        r"429 .*huggingface|huggingface.*(429|Too Many Requests)|RateLimitError",
        "Hugging Face limits the rate of downloads",
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
# After one of these the trainer has recovered from earlier errors.
PROGRESS = re.compile(
    r"Joining round: \d+|Starting round: \d+/|Training round: \d+|Finished training round|Submitting winners for round|"
    r"'reward'|\bstep[= ]\d+\b|\bround \d+, stage \d+\b"
)


def examine(site: Site) -> Iterator[Finding]:
    found = False
    for log, title in _logs(site):
        for problem, count in classify(_tail(log)):
            found = True
            times = f", {count} times" if count > 1 else ""
            yield Finding(problem.level, f"{title}: {problem.message} ({log.name}{times})", problem.remedy)
    if not found:
        yield ok("no known problem at the end of the trainers' logs")


def classify(text: str) -> list[tuple[Class, int]]:
    """The problems since the last progress, with their number of lines, in the order of the table."""
    counts: dict[Class, int] = {}
    for line in text.splitlines():
        line = line[:MAX_LINE]
        problem = next((one for one in CLASSES if one.pattern.search(line)), None)
        if problem is not None:
            counts[problem] = counts.get(problem, 0) + 1
        elif PROGRESS.search(line):
            counts = {problem: count for problem, count in counts.items() if problem.outlives_progress}
    return [(problem, counts[problem]) for problem in CLASSES if problem in counts]


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

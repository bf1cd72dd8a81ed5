"""The problems that are known in a trainer's log: how their lines are spelt, what they mean, what to do. Pure.

A pattern is as long as the real line lets it be: logs hold prose too, such as completions and advice. Each takes linear
time, as prose may be hostile: repetitions are bounded, or begin at one place of a line (`_in_order`).
"""

import re
from typing import NamedTuple

from exporter.tracebacks import find_exception

MAX_LINE = 2000


class Class(NamedTuple):
    """One kind of problem; `pattern` matches within a line. Some persist while rounds go on: `outlives_progress`.

    `name` is its label in metrics.

    `is_warning`: the trainer goes on for a while. `as_consequence` matches lines that mean this problem only behind
    `origin`: the same words have another cause elsewhere.
    """

    name: str
    pattern: re.Pattern[str]
    message: str
    remedy: str
    is_warning: bool = False
    outlives_progress: bool = False
    as_consequence: re.Pattern[str] | None = None
    origin: re.Pattern[str] | None = None


class Cause(NamedTuple):
    """What the end of a log says about why a trainer ended; None where it does not. `times`: lines of the problem."""

    exception: str | None
    problem: Class | None
    times: int = 0


def _class(
    name: str,
    patterns: tuple[str, ...],
    message: str,
    remedy: str,
    *,
    is_warning: bool = False,
    outlives_progress: bool = False,
    consequence: tuple[str, str] | None = None,
) -> Class:
    """`consequence` is (what has this cause, behind what)."""
    pattern = re.compile("|".join(patterns), re.IGNORECASE)
    also, origin = map(re.compile, consequence) if consequence else (None, None)
    return Class(name, pattern, message, remedy, is_warning, outlives_progress, also, origin)


def _in_order(*parts: str) -> str:
    """Matches a line that holds all parts in this order, each searched for once."""
    return "^" + "".join(f"(?>.*?{part})" for part in parts)


def _local(name: str) -> str:
    """Python's words, before 3.11 and since, for a variable that is used before it has a value."""
    return rf"local variable '{name}' (referenced before assignment|where it is not associated)"


# What shells write in the languages of their users.
_TRANSLATED = ("已杀死", "強制終了", "Убито", "Getötet")
_KILLED = "|".join(("Killed(: 9)?", *_TRANSLATED))

# The first match classifies a line.
CLASSES = (
    _class(
        "killed",
        (
            # Shells: a command of a script, a job, a command of a terminal.
            rf"^(\S{{1,80}}\s{{0,40}}\| |\d{{4}}-\d\d-\d\d[T ]\S+ |(?>.*?\w\[\d+\]: ))?\s*+({_KILLED})\s*$",
            rf":\s{{0,8}}((line|行|строка|Zeile) ?\d+|\d+ 行):\s+\d+ ({_KILLED})(?!\w)",
            rf"^\[\d+\]\s{{0,8}}[+-]?\s{{0,8}}(\d+\s{{1,8}})?({_KILLED})(\s{{2,}}|\s*$)",
            r"^zsh: killed\s|^make(\[\d+\])?: \*\*\* .*\] (Killed|Error 137)\b",
            # Python, torchrun, accelerate, DeepSpeed, fish, supervisord.
            r"died with <Signals\.SIGKILL",
            r"Signal 9 \(SIGKILL\) received",
            r"^(?!.*\bstopped: ).*\bterminated (with|by)( signal)? SIGKILL\b",
            r"is killed by signal: Killed|\b(terminated|died) (with|due to) signal 9\b|\bSIGKILL\(-9\)",
            r"\b(exit ?code|return code|exit status:)\s{0,8}[:=]?\s{0,8}-(9|SIGKILL)\b|\bexited with -9\b",
            # systemd, the kernel, docker, Kubernetes, Slurm, Ray.
            r"code=killed, status=9/KILL",
            r"killed by the OOM killer",
            r"result 'oom-kill'|\boom-kill:constraint|invoked oom-killer|\boom[-_]kill event",
            r"\bKilled process \d+ \(|\boom_reaper: reaped process|systemd-oomd killed \d|killed by systemd-oomd",
            r"\btask \d+: Out Of Memory\s*$|CANCELLED: OUT_OF_MEMORY",
            r"ray\.exceptions\.OutOfMemoryError|killed due to (memory pressure|the node running low on memory)",
            r"\bOOMKilled\b(?!\"?\s*[:=]\s*(false|0))",
            r"\bexit(ed|s)?( with)? ?(code|status)[\" :=(]{1,12}137\b|\bexited (with )?\(?137\b|non-zero code: 137\b",
        ),
        "the system killed the trainer, most likely out of memory",
        "run fewer peers or a smaller model; `peerwatch plan` says what fits",
    ),
    _class(
        "out_of_memory",
        (
            r"\b((CUDA|HIP|XPU)( (driver )?error:)?|MPS backend|RESOURCE_EXHAUSTED:) out of memory\b"
            r"(?=\s*([.:(]|$| while))",
            r"Cuda failure (\d+ )?'out of memory'|Allocation on device .{0,20}would exceed allowed memory",
            r"cudaErrorMemoryAllocation|^Error out of memory at line \d+ in file|Invalid buffer size: [\d.]+ [GTM]i?B",
            r"No available memory for the cache blocks|less than desired GPU memory utilization",
            r"kIOGPUCommandBufferCallbackErrorOutOfMemory",
            r"DefaultCPUAllocator: (can't allocate|not enough) memory",
            r"\b(_ArrayMemoryError|MemoryError)\b\s*+(:|$)|std::bad_alloc|CUBLAS_STATUS_ALLOC_FAILED",
            r"\[Errno 12\]|: Cannot allocate memory( \(12\))?\s*$",
        ),
        "a step needed more memory than there is",
        "lower the batch size, the number of completions or their length",
    ),
    _class(
        "identity_taken",
        (_in_order(r"\bidentity\b", r"\bis already taken"),),
        "another process uses this peer's identity",
        "stop the other one, or give this peer its own key",
    ),
    _class(
        "no_initial_peers",
        (
            r"failed to connect to (any )?bootstrap peers|DHTNode bootstrap failed",
            r"none of the initial[_ ]peers (responded|answered)|no initial peer (answers|could be reached)",
        ),
        "the swarm's initial peers could not be reached",
        "check the network and the addresses below swarm.initial_peers",
    ),
    _class(
        "network_daemon",
        (
            r"P2PDaemonError\b",
            r"Daemon failed to start\b",
            _in_order(r"\bp2pd\b", r" (has |was )?(exited|terminated)\b"),
        ),
        "hivemind's network daemon did not start",
        "check free memory, left-over p2pd processes and the limit on open files; then start the peer again",
    ),
    _class(
        "dht_connection",
        (
            r"DHT IPC error",
            r"\[Errno (11|35)\] Resource temporarily unavailable",
            r"\bBlockingIOError\b|EOFError: Ran out of input",
            _local("train_result"),
        ),
        "the connection to the DHT process broke; rl-swarm 0.4 crashes soon after",
        "restart the peer now, before it crashes",
        # Its own clean-up ends the run that the next report is for.
        consequence=(r"must call wandb\.init\(\)", r"DHT IPC error|hivemind_exp"),
    ),
    _class(
        "too_few_questions",
        (_local("current_batch"),),
        "a stage had too few questions for the configuration",
        "set steps_per_generation: 1 in rl-swarm's configuration, or let more peers join",
    ),
    _class(
        "behind_last_stage",
        (_local("trainer"),),
        "the peer joined a round behind its last stage",
        "start it again: it joins at the next round",
    ),
    _class(
        "wandb_login",
        (
            r"api_key not configured \(no-tty\)|No API key configured\. Use `wandb login`",
            r"(wandb:\s{1,4}|^\s*+)Enter your choice:",
        ),
        "wandb waits for a log-in without a terminal",
        "start the trainer with WANDB_MODE=offline",
    ),
    _class(
        "account_collision",
        (r"\bAA2[45]\b",),
        "several peers of one account submitted at once",
        "start them some minutes apart, so that their submissions do not collide",
        is_warning=True,
        outlives_progress=True,
    ),
    _class(
        "rewards_refused",
        (
            r"Failed to submit to chain",
            _in_order(r"api/submit-\w", r"\b(400|500)\b"),
            _in_order(r"\b(400|500)\b ", r"api/submit-"),
            r"\bFailedOp\b",
            _in_order(r"endpoint", r"(submit_reward|submit-winner)"),
            r"calling (submit_reward|submit-winner)",
            r"Failed to call submit(Reward|Winners)\b",
            r"\bfailed after \d{1,6} replacements\b",
        ),
        "rewards are not accepted by the chain",
        "log in again at the log-in server, and see its yarn.log",
        outlives_progress=True,
    ),
    _class(
        "not_registered",
        (
            r"calling register-peer endpoint",
            r"Failed to call registerPeer\b",
            # 400 is for one that is registered already.
            _in_order(r"\b5\d\d\b ", r"api/register-peer\b"),
            _in_order(r"api/register-peer\b", r" 5\d\d\b"),
        ),
        "the peer could not be registered on the chain",
        "log in again at the log-in server, and see its yarn.log",
        is_warning=True,
        outlives_progress=True,
    ),
    _class(
        "chain_unreachable",
        (r"Could not fetch round and stage",),
        "the chain did not answer when asked for the round",
        "wait; if it persists, use another RPC address",
        is_warning=True,
    ),
    _class(
        "peers_unreadable",
        (r"Unable to refresh DHT visible addrs", r"Failed to decode value\b", r"Can't retrieve round \d+ stage"),
        "what other peers publish could not be read",
        "wait; if it persists, restart the peer",
        is_warning=True,
    ),
    _class(
        "port_in_use",
        (r"EADDRINUSE\b|Address already in use|\bports?( \d+)? (is|are) (in use|already (in use|all)|not available:)",),
        "a port was in use",
        "end leftovers of an earlier run, or choose other ports",
    ),
    _class(
        "download_limit",
        (
            _in_order(r"\b429\b", r"(huggingface|\bhf\.co/)"),
            _in_order("huggingface", r"(\b429\b|Too Many Requests)"),
            r"\bHfHubHTTPError: 429\b|We had to rate limit your IP",
        ),
        "Hugging Face limits the rate of downloads",
        "wait an hour, or log in with a token of your own",
        is_warning=True,
    ),
    _class(
        "disk_full",
        (
            r"No space left on device|\bErrno 28\b(?!\]? inotify)|\bcode ENOSPC\b|Disk quota exceeded",
            r"PytorchStreamWriter failed writing|inline_container\.cc:\d+\] \. unexpected pos",
            r"database or disk is full|Not enough free disk space to download",
        ),
        "the disk was full",
        "free some space, or set state_dir to another disk",
    ),
    _class(
        "open_files",
        (r"\bToo many open files\b", r"\bErrno 24\b|\bEMFILE\b", r"received 0 items of ancdata"),
        "the limit on open files was reached",
        "raise it: `ulimit -n 4096` before the start",
    ),
    _class(
        "nothing_learned",
        (r"Error (with swarm payloads|occurred during (training|evaluation)), continuing",),
        "rounds go on, but nothing is learned or shared",
        "restart the peer; see the error above that line in its log",
        is_warning=True,
        outlives_progress=True,
    ),
    _class(
        "ollama",
        (r"(Error pulling model from|could not connect to|failed to connect to) ollama\b", r"\bollama\._types\."),
        "ollama, which judges the answers, gave no model",
        "see that ollama runs and its disk has space: `ollama list`",
    ),
    _class(
        "prediction_game",
        (r"Error playing PRG game\b",),
        "the prediction game failed; training goes on",
        "update rl-swarm, or start it with PRG_GAME=false",
        is_warning=True,
        outlives_progress=True,
    ),
    _class(
        "push_failed",
        (
            r"Failed to push model to the Hugging ?Face Hub",
            _in_order(r"\b40[13] (Client Error|Forbidden|Unauthorized)", r"huggingface\.co/api/(repos|models)"),
            r"You don't have the rights to create a model under the namespace",
        ),
        "the model could not be pushed to Hugging Face",
        "give it a token that may write, or start without one",
        is_warning=True,
        outlives_progress=True,
    ),
    _class(
        "round_parts_lost",
        (
            r"Re-attempting training starting at stage 0!",
            r"Skipped malformed stage\d output",
            r"Missing '\w{1,40}' key in output",
        ),
        "parts of a round were lost or begun again",
        "nothing, if it is rare; else see the error above that line in its log",
        is_warning=True,
    ),
    _class(
        "ended_with_error",
        (
            r"(Exception|Encountered error) during training\b|Exception occurred during game run\b",
            r"An error was detected while running rl-swarm|Training timed out!",
        ),
        "the trainer ended with an error",
        "see the lines before it in the log",
    ),
)
# After one of these the trainer has recovered from earlier errors.
PROGRESS = re.compile(
    r"Joining round: \d+|Starting round: \d+/|(Finished t|T)raining round: \d+|Submitting winners for round |"
    r"'reward'|'loss'|\b(?i:step)[= :] ?\d+\b|\bIter \d+: |\bround \d+, stage \d+\b"
)

# Each line above holds one of these; all others, most of a log, need no pattern.
MARKERS = (
    *("rror", "ailed", "illed", "xception", "SIGKILL", "xit", "return code", "oom", "emory", "bad_alloc"),
    *("ALLOC_FAILED", "rrno", "already", "AA2", "initial", "p2pd", "no-tty", "API key", "your choice"),
    *("local variable", *_TRANSLATED, "submit", "replacements", "register-peer", "ould not", "Unable", "retrieve"),
    *("EADDRINUSE", "in use", "429 ", "oo Many", "oo many", "o space", "quota", "EMFILE", "ace.co/api"),
    *("ENOSPC", "isk ", "unexpected pos", "ancdata", "rate limit", "ignal 9", "137", "available"),
    *("ights to", "e-attempting", "malformed", "Missing '", "timed out"),
)
_PROGRESS_WORDS = ("'reward'", "'loss'", "Finished training round: ", "Submitting winners for round ")
PROGRESS_MARKERS = (*_PROGRESS_WORDS, "ound: ", "round ", "tep ", "tep:", "tep=", "Iter ")

_ORIGINS = {one: one.origin for one in CLASSES if one.origin is not None}
_COLOR = re.compile(r"\x1b\[[0-9;]{0,32}m")


class Tally:
    """The problems in a log that is given by lines: `counts` of lines since the last progress.

    A line has a consequence of an earlier problem once that one's origin was seen.
    """

    def __init__(self) -> None:
        self.counts: dict[Class, int] = {}
        self.has_progressed = False
        self.consequences: tuple[Class, ...] = ()

    def take(self, line: str) -> Class | None:
        """Counts a line; the problem that it tells."""
        line = _clean(line)
        self.consequences += tuple(
            one for one, origin in _ORIGINS.items() if one not in self.consequences and origin.search(line)
        )
        problem = _find_class(line, self.consequences) if any(marker in line for marker in MARKERS) else None
        if problem is not None:
            self.counts[problem] = self.counts.get(problem, 0) + 1
        elif _is_progress(line):
            self.has_progressed = True
            self.counts = {one: count for one, count in self.counts.items() if one.outlives_progress}
        return problem


def classify(text: str) -> list[tuple[Class, int]]:
    """The problems since the last progress, with their number of lines, in the order of the table."""
    counts = _tally(text).counts
    return [(problem, counts[problem]) for problem in CLASSES if problem in counts]


def find_cause(text: str) -> Cause:
    """The last exception since the last progress, and the known problem that it is, or that other lines tell."""
    exception, tally = find_exception(map(_clean, text.splitlines()), PROGRESS), _tally(text)
    problem = _find_class(exception, tally.consequences) if exception else None
    if problem is None:
        problem = next((one for one in CLASSES if one in tally.counts and not one.is_warning), None)
    return Cause(exception, problem, tally.counts.get(problem, 1) if problem else 0)


def _tally(text: str) -> Tally:
    tally = Tally()
    for line in text.splitlines():
        tally.take(line)
    return tally


def _is_progress(line: str) -> bool:
    """The same as by the pattern, which is slow on the long lines that most reports are."""
    has_marker = any(marker in line for marker in PROGRESS_MARKERS)
    return any(word in line for word in _PROGRESS_WORDS) or (has_marker and PROGRESS.search(line) is not None)


def _clean(line: str) -> str:
    return _COLOR.sub("", line[:MAX_LINE])


def _find_class(line: str, consequences: tuple[Class, ...]) -> Class | None:
    for one in consequences:
        if one.as_consequence is not None and one.as_consequence.search(line):
            return one
    return next((one for one in CLASSES if one.pattern.search(line)), None)

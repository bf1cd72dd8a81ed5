"""The problems that the doctor knows in a trainer's log: how their lines are spelt, what they mean, what to do.

A pattern is as long as the real line lets it be: logs hold prose too, such as completions and advice.
"""

import re
from typing import NamedTuple

from fleet.doctor.findings import Level


class Class(NamedTuple):
    """One kind of problem; `pattern` matches within a line. Some persist while rounds go on: `outlives_progress`."""

    pattern: re.Pattern[str]
    message: str
    remedy: str
    level: Level = Level.FAILURE
    outlives_progress: bool = False


def _class(
    patterns: tuple[str, ...],
    message: str,
    remedy: str,
    level: Level = Level.FAILURE,
    *,
    outlives_progress: bool = False,
) -> Class:
    return Class(re.compile("|".join(patterns), re.IGNORECASE), message, remedy, level, outlives_progress)


# The first match classifies a line.
CLASSES = (
    _class(
        (
            # Shells: a command of a script, a job, a command of a terminal.
            r"^\s*(Killed(: 9)?|已杀死)\s*$",
            r":\s*(line|行) ?\d+:\s+\d+ (Killed\b|已杀死)",
            r"^\[\d+\]\s*[+-]?\s*(\d+\s+)?(Killed(: 9)?|已杀死)(\s{2,}|\s*$)",
            r"^zsh: killed\s",
            r"^make(\[\d+\])?: \*\*\* .*\] Killed",
            # Python, torchrun, accelerate, DeepSpeed, fish, supervisord.
            r"died with <Signals\.SIGKILL",
            r"Signal 9 \(SIGKILL\) received",
            r"^(?!.*\bstopped: ).*\bterminated (with|by)( signal)? SIGKILL\b",
            r"is killed by signal: Killed",
            r"\b(exit ?code|return code)\s*[:=]?\s*-(9|SIGKILL)\b",
            # systemd, the kernel, docker, Kubernetes, Slurm.
            r"code=killed, status=9/KILL",
            r"killed by the OOM killer",
            r"result 'oom-kill'|\boom-kill:constraint|invoked oom-killer|\boom[-_]kill event",
            r"\bKilled process \d+ \(",
            r"\bOOMKilled\b(?!\"?\s*[:=]\s*(false|0))",
            r"\bexit(ed|s)?( with)?( ?(code|status))?[ :=(]{1,3}137\b",
        ),
        "the system killed the trainer, most likely out of memory",
        "run fewer peers or a smaller model; `peerwatch plan` says what fits",
    ),
    _class(
        (
            r"\b((CUDA|HIP|XPU)( error:)?|MPS backend|RESOURCE_EXHAUSTED:) out of memory\b(?=\s*([.:(]|$| while))",
            r"DefaultCPUAllocator: (can't allocate|not enough) memory",
            r"\b(_ArrayMemoryError|MemoryError)\b\s*(:|$)|std::bad_alloc|CUBLAS_STATUS_ALLOC_FAILED",
            r"\[Errno 12\]|: Cannot allocate memory\s*$",
        ),
        "a step needed more memory than there is",
        "lower the batch size, the number of completions or their length",
    ),
    _class(
        (r"\bidentity\b.*\bis already taken",),
        "another process uses this peer's identity",
        "stop the other one, or give this peer its own key",
    ),
    _class(
        (
            r"failed to connect to (any )?bootstrap peers",
            r"none of the initial[_ ]peers (responded|answered)",
            r"DHTNode bootstrap failed",
            r"no initial peer (answers|could be reached)",
        ),
        "the swarm's initial peers could not be reached",
        "check the network and the addresses below swarm.initial_peers",
    ),
    _class(
        (r"P2PDaemonError\b", r"Daemon failed to start\b", r"\bp2pd\b.* (has |was )?(exited|terminated)\b"),
        "hivemind's network daemon did not start",
        "check free memory, left-over p2pd processes and the limit on open files; then start the peer again",
    ),
    _class(
        (
            r"DHT IPC error",
            r"\[Errno (11|35)\] Resource temporarily unavailable",
            r"\bBlockingIOError\b",
            r"EOFError: Ran out of input",
        ),
        "the connection to the DHT process broke; rl-swarm 0.4 crashes soon after",
        "restart the peer now, before it crashes",
    ),
    _class(
        (
            r"api_key not configured \(no-tty\)",
            r"No API key configured\. Use `wandb login`",
            r"wandb: Enter your choice",
            r"must call wandb\.init\(\)",
        ),
        "wandb waits for a log-in without a terminal",
        "start the trainer with WANDB_MODE=offline",
    ),
    _class(
        (r"\bAA2[45]\b",),
        "several peers of one account submitted at once",
        "start them some minutes apart, so that their submissions do not collide",
        Level.WARNING,
        outlives_progress=True,
    ),
    _class(
        (
            r"Failed to submit to chain",
            r"api/submit-\w+.*\b(400|500)\b",
            r"\b(400|500)\b .*api/submit-",
            r"\bFailedOp\b",
            r"endpoint.*(submit_reward|submit-winner)",
            r"calling (submit_reward|submit-winner)",
        ),
        "rewards are not accepted by the chain",
        "log in again at the log-in server, and see its yarn.log",
        outlives_progress=True,
    ),
    _class(
        (r"Could not fetch round and stage",),
        "the chain did not answer when asked for the round",
        "wait; if it persists, use another RPC address",
        Level.WARNING,
    ),
    _class(
        (r"\bEADDRINUSE\b", r"Address already in use", r"\bport \d+ is (already )?in use"),
        "a port was in use",
        "end leftovers of an earlier run, or choose other ports",
    ),
    _class(
        (r"\b429\b.*huggingface", r"huggingface.*(\b429\b|Too Many Requests)", r"\bHfHubHTTPError: 429\b"),
        "Hugging Face limits the rate of downloads",
        "wait an hour, or log in with a token of your own",
        Level.WARNING,
    ),
    _class(
        (r"No space left on device", r"\bErrno 28\b", r"Disk quota exceeded", r"PytorchStreamWriter failed writing"),
        "the disk was full",
        "free some space, or set state_dir to another disk",
    ),
    _class(
        (r"\bToo many open files\b", r"\bErrno 24\b", r"\bEMFILE\b"),
        "the limit on open files was reached",
        "raise it: `ulimit -n 4096` before the start",
    ),
    _class(
        (
            r"Error with swarm payloads, continuing with local state",
            r"Error occurred during training, continuing",
        ),
        "rounds go on, but nothing is learned or shared",
        "restart the peer; see the error above that line in its log",
        Level.WARNING,
        outlives_progress=True,
    ),
    _class(
        (
            r"Exception during training\b",
            r"Encountered error during training\b",
            r"Exception occurred during game run\b",
            r"An error was detected while running rl-swarm",
            r"Training timed out!",
        ),
        "the trainer ended with an error",
        "see the lines before it in the log",
    ),
)
# After one of these the trainer has recovered from earlier errors.
PROGRESS = re.compile(
    r"Joining round: \d+|Starting round: \d+/|Training round: \d+|Finished training round|Submitting winners for round|"
    r"'reward'|\bstep[= ]\d+\b|\bround \d+, stage \d+\b"
)

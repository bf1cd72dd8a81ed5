"""What hivemind and rl-swarm write about the swarm, its chain and its rounds. Pure."""

from exporter.problems.problem_class import define, in_order


def _local(name: str) -> str:
    """Python's words, before 3.11 and since, for a variable that is used before it has a value."""
    return rf"local variable '{name}' (referenced before assignment|where it is not associated)"


SWARM = (
    define(
        "identity_taken",
        (in_order(r"\bidentity\b", r"\bis already taken"),),
        "another process uses this peer's identity",
        "stop the other one, or give this peer its own key",
    ),
    define(
        "no_initial_peers",
        (
            r"failed to connect to (any )?bootstrap peers|DHTNode bootstrap failed",
            r"none of the initial[_ ]peers (responded|answered)|no initial peer (answers|could be reached)",
        ),
        "the swarm's initial peers could not be reached",
        "check the network and the addresses below swarm.initial_peers",
    ),
    define(
        "network_daemon",
        (
            r"P2PDaemonError\b",
            r"Daemon failed to start\b",
            in_order(r"\bp2pd\b", r" (has |was )?(exited|terminated)\b"),
        ),
        "hivemind's network daemon did not start",
        "check free memory, left-over p2pd processes and the limit on open files; then start the peer again",
    ),
    define(
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
    define(
        "too_few_questions",
        (_local("current_batch"),),
        "a stage had too few questions for the configuration",
        "set steps_per_generation: 1 in rl-swarm's configuration, or let more peers join",
    ),
    define(
        "behind_last_stage",
        (_local("trainer"),),
        "the peer joined a round behind its last stage",
        "start it again: it joins at the next round",
    ),
    define(
        "account_collision",
        (r"\bAA2[45]\b",),
        "several peers of one account submitted at once",
        "start them some minutes apart, so that their submissions do not collide",
        is_warning=True,
        outlives_progress=True,
    ),
    define(
        "rewards_refused",
        (
            r"Failed to submit to chain",
            in_order(r"api/submit-\w", r"\b(400|500)\b"),
            in_order(r"\b(400|500)\b ", r"api/submit-"),
            r"\bFailedOp\b",
            in_order(r"endpoint", r"(submit_reward|submit-winner)"),
            r"calling (submit_reward|submit-winner)",
            r"Failed to call submit(Reward|Winners)\b",
            r"\bfailed after \d{1,6} replacements\b",
        ),
        "rewards are not accepted by the chain",
        "log in again at the log-in server, and see its yarn.log",
        outlives_progress=True,
    ),
    define(
        "not_registered",
        (
            r"calling register-peer endpoint",
            r"Failed to call registerPeer\b",
            # 400 is for one that is registered already.
            in_order(r"\b5\d\d\b ", r"api/register-peer\b"),
            in_order(r"api/register-peer\b", r" 5\d\d\b"),
        ),
        "the peer could not be registered on the chain",
        "log in again at the log-in server, and see its yarn.log",
        is_warning=True,
        outlives_progress=True,
    ),
    define(
        "chain_unreachable",
        (r"Could not fetch round and stage",),
        "the chain did not answer when asked for the round",
        "wait; if it persists, use another RPC address",
        is_warning=True,
    ),
    define(
        "peers_unreadable",
        (r"Unable to refresh DHT visible addrs", r"Failed to decode value\b", r"Can't retrieve round \d+ stage"),
        "what other peers publish could not be read",
        "wait; if it persists, restart the peer",
        is_warning=True,
    ),
    define(
        "nothing_learned",
        (r"Error (with swarm payloads|occurred during (training|evaluation)), continuing",),
        "rounds go on, but nothing is learned or shared",
        "restart the peer; see the error above that line in its log",
        is_warning=True,
        outlives_progress=True,
    ),
    define(
        "ollama",
        (r"(Error pulling model from|could not connect to|failed to connect to) ollama\b", r"\bollama\._types\."),
        "ollama, which judges the answers, gave no model",
        "see that ollama runs and its disk has space: `ollama list`",
    ),
    define(
        "prediction_game",
        (r"Error playing PRG game\b",),
        "the prediction game failed; training goes on",
        "update rl-swarm, or start it with PRG_GAME=false",
        is_warning=True,
        outlives_progress=True,
    ),
    define(
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
    define(
        "ended_with_error",
        (
            r"(Exception|Encountered error) during training\b|Exception occurred during game run\b",
            r"An error was detected while running rl-swarm|Training timed out!",
        ),
        "the trainer ended with an error",
        "see the lines before it in the log",
        is_vague=True,
    ),
)

# Each line that they know holds one of these.
MARKERS = (
    *("rror", "ailed", "xception", "rrno", "already", "AA2", "initial", "p2pd", "local variable", "submit"),
    *("replacements", "register-peer", "ould not", "Unable", "retrieve", "e-attempting"),
    *("malformed", "Missing '", "timed out"),
)

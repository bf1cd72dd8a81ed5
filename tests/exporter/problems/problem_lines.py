"""Lines as trainers, launchers and systems write them, and lines that only sound like them."""

KILLED = (
    "./run_rl_swarm.sh: line 160: 91115 Killed: 9               python -m hivemind_exp.gsm8k.train_single_gpu",
    "/home/u/run.sh: line 649:  9746 Killed                  python -m rgym_exp.runner.swarm_launcher",
    "run.sh: 行 221: 137945 已杀死               python -m x",
    "[1]+  Killed                  nohup python -m rgym_exp.runner.swarm_launcher > rl.log 2>&1",
    "[2]  + 4242 killed     python -m x",
    "zsh: killed     python -m x",
    "make: *** [Makefile:12: train] Killed",
    "Killed",
    "subprocess.CalledProcessError: Command '['python', 'train.py']' died with <Signals.SIGKILL: 9>.",
    "torch.multiprocessing.spawn.ProcessExitedException: process 0 terminated with signal SIGKILL",
    "RuntimeError: DataLoader worker (pid 4242) is killed by signal: Killed. ",
    "  exitcode  : -9 (pid: 4242)",
    "E0604 09:43:13 4241 torch/distributed/elastic/multiprocessing/api.py:874] failed (exitcode: -9) local_rank: 0",
    "  traceback : Signal 9 (SIGKILL) received by PID 4242",
    "[launch.py:325:sigkill_handler] ['python', 'train.py'] exits with return code = -9",
    "fish: Job 1, 'python -m x' terminated by signal SIGKILL (Forced quit)",
    "2026-01-02 03:04:05,678 WARN exited: amber (terminated by SIGKILL; not expected)",
    "systemd[1]: peer.service: Main process exited, code=killed, status=9/KILL",
    "peer.service: A process of this unit has been killed by the OOM killer.",
    "peer.service: Failed with result 'oom-kill'.",
    "[ 8123.4] Out of memory: Killed process 4242 (python) total-vm:23512408kB, anon-rss:15203932kB",
    "[ 8123.4] oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=7c1f,mems_allowed=0",
    "[ 8123.4] python invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=500",
    "trainer-1 exited with code 137",
    '            "OOMKilled": true,',
    "      Reason:       OOMKilled",
    '7c1f  trainer  "python -m x"  2 hours ago  Exited (137) 5 minutes ago',
    "slurmstepd: error: Detected 1 oom_kill event in StepId=4242.0.",
    "trainer-1  | Killed",
    "2026-01-02T03:04:05.678901234Z Killed",
    "Jan 02 03:04:05 rig run.sh[4242]: Killed",
    "      Exit Code:    137",
    '      "ExitCode": 137,',
    "make: *** [Makefile:3: train] Error 137",
    "The command '/bin/sh -c python train.py' returned a non-zero code: 137",
    "command terminated with exit code 137",
    "run.sh: строка 12:  4242 Убито              python -m x",
    "run.sh: Zeile 12:  4242 Getötet                python -m x",
    "run.sh: 12 行:  4242 強制終了            python -m x",
    "ray.exceptions.OutOfMemoryError: Task was killed due to the node running low on memory.",
    "(raylet) 1 Workers (tasks / actors) killed due to memory pressure (OOM), 0 Workers crashed due to other reasons",
    "peer.service: systemd-oomd killed 12 process(es) in this unit.",
    "[ 8123.4] oom_reaper: reaped process 4242 (python), now anon-rss:0kB, file-rss:0kB, shmem-rss:0kB",
    "srun: error: node1: task 0: Out Of Memory",
    "The exit codes of the workers are {SIGKILL(-9)}",
    "multiprocess.pool: worker died with signal 9",
)
NOT_KILLED = (
    # Prose, as completions hold it, and what people write about signals.
    "The answer: exit 137 is the number of the exit on the highway",
    "He said: 3 Killed in action",
    "results: page 3: 12 Killed in action",
    "Killed in action, the hero was mourned by 137 people.",
    "[1] Killed by a falling tree, says the second source.",
    "# kill -9 $PID if it does not stop",
    "use kill -9 4242 to end a process that was Killed before",
    "The exit was code-named 137.",
    # Somebody stopped it.
    "^CTraceback (most recent call last):",
    "  exitcode  : -2 (pid: 4242)",
    "  exitcode  : -15 (pid: 4242)",
    "subprocess.CalledProcessError: Command '['python']' died with <Signals.SIGINT: 2>.",
    "run.sh: line 221: 137945 Interrupt               python -m x",
    "run.sh: line 221: 137945 Terminated              python -m x",
    "Killed by signal 2.",
    "trainer-1 exited with code 130",
    "2026-01-02 03:04:05,678 INFO stopped: amber (terminated by SIGKILL)",
    "peer.service: Main process exited, code=killed, status=15/TERM",
    '            "OOMKilled": false,',
)
# By what its message says: three real spellings at least of each class, and lines that are none.
LINES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "the system killed the trainer": (KILLED, NOT_KILLED),
    "a step needed more memory than there is": (
        (
            "RuntimeError: MPS backend out of memory (MPS allocated: 15.05 GB, max allowed: 27.20 GB).",
            "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of",
            "RuntimeError: CUDA error: out of memory",
            "RuntimeError: [enforce fail at alloc_cpu.cpp:117] . DefaultCPUAllocator: can't allocate memory: you tried",
            "numpy._core._exceptions._ArrayMemoryError: Unable to allocate 3.2 GiB for an array with shape (4, 2)",
            "OSError: [Errno 12] Cannot allocate memory",
            "MemoryError",
            "terminate called after throwing an instance of 'std::bad_alloc'",
            "RuntimeError: CUDA driver error: out of memory",
            "rig:41:97 [0] misc/strongstream.cc:53 NCCL WARN Cuda failure 2 'out of memory'",
            "RuntimeError: [METAL] Command buffer execution failed: Insufficient Memory "
            "(00000008:kIOGPUCommandBufferCallbackErrorOutOfMemory)",
            "RuntimeError: Invalid buffer size: 24.00 GB",
            "RuntimeError: unable to mmap 1073741824 bytes from file </x/y>: Cannot allocate memory (12)",
            "ValueError: No available memory for the cache blocks. Try increasing `gpu_memory_utilization`.",
        ),
        (
            "gradient checkpointing avoids CUDA out of memory errors at the price of time",
            "If you run out of memory, lower per_device_train_batch_size.",
            "expandable_segments:True avoids fragmentation of memory",
            "OSError: [Errno 122] x",
        ),
    ),
    "uses this peer's identity": (
        (
            "P2PDaemonError: Identity from swarm.pem is already taken by another peer",
            "hivemind.p2p.p2p_daemon_bindings.utils.P2PDaemonError: Identity from /a b/swarm.pem is already taken",
            "trainer: swarm: the identity of identity.pem is already taken by another peer; each peer needs its own",
        ),
        ("the name amber is already taken", "identity loaded from swarm.pem"),
    ),
    "initial peers could not be reached": (
        (
            "RuntimeError: DHTNode bootstrap failed: none of the initial_peers responded to a ping.",
            "P2PDaemonError: Daemon failed to start: 2025/06/04 09:43:13 failed to connect to bootstrap peers",
            "none of the initial peers responded to a ping. (set ensure_bootstrap_success=False to ignore)",
            "trainer: swarm.initial_peers: no initial peer could be reached: /ip4/127.0.0.1/tcp/9/p2p/Qm (x)",
        ),
        ("connected to 3 bootstrap peers", "initial_peers: ['/ip4/38.101.215.12/tcp/30011/p2p/Qm']"),
    ),
    "network daemon did not start": (
        (
            "hivemind.p2p.p2p_daemon_bindings.utils.P2PDaemonError: Daemon failed to start in 15.0 seconds",
            "P2PDaemonError: Daemon failed to start: error while loading shared libraries",
            "[ERROR] p2pd 4242 exited with code 1",
        ),
        ("p2pd started", "Daemon started in 1.2 seconds"),
    ),
    "the connection to the DHT": (
        (
            "2026-01-02 03:04:05,678 - ERROR - hivemind_exp.x:12 - DHT IPC error: [Errno 35] x",
            "[ERROR] [hivemind.dht.dht._run:1] [Errno 11] Resource temporarily unavailable",
            "BlockingIOError: [Errno 35] Resource temporarily unavailable",
            "EOFError: Ran out of input",
        ),
        (
            "bash: fork: retry: Resource temporarily unavailable",
            "EOFError: EOF when reading a line",
            "the DHT's IPC is fine",
            "UnboundLocalError: cannot access local variable 'train_results' where it is not associated with a value",
            # Of a trainer that has nothing to do with the swarm.
            "wandb.errors.errors.Error: You must call wandb.init() before wandb.log()",
        ),
    ),
    "too few questions for the configuration": (
        (
            "UnboundLocalError: cannot access local variable 'current_batch' where it is not associated with a value",
            "UnboundLocalError: local variable 'current_batch' referenced before assignment",
            "[rank0]: UnboundLocalError: cannot access local variable 'current_batch' where it is not associated with",
        ),
        (
            "    current_batch = send_to_device(current_batch, self.device, non_blocking=self._non_blocking)",
            "UnboundLocalError: cannot access local variable 'batch' where it is not associated with a value",
        ),
    ),
    "joined a round behind its last stage": (
        (
            "UnboundLocalError: cannot access local variable 'trainer' where it is not associated with a value",
            "UnboundLocalError: local variable 'trainer' referenced before assignment",
            "2026-01-02 03:04:05,678 - ERROR - x:1 - local variable 'trainer' referenced before assignment",
        ),
        ("cannot access local variable 'trainer_state' where it is not associated with a value", "trainer: x"),
    ),
    "wandb waits for a log-in": (
        (
            "wandb.errors.UsageError: api_key not configured (no-tty). call wandb.login(key=[your_api_key])",
            "wandb.errors.errors.UsageError: No API key configured. Use `wandb login` to log in.",
            "\x1b[34m\x1b[1mwandb\x1b[0m: Enter your choice: ",
            "Enter your choice: ",
        ),
        ("wandb: Currently logged in as: amber", "Enter your choice of model", "please Enter your choice: below"),
    ),
    "of one account submitted at once": (
        (
            "UserOperation reverted: AA24 signature error",
            "execution reverted: AA25 invalid account nonce",
            '{"error": {"code": -32507, "message": "AA24 signature error"}}',
        ),
        ("revision AA24f3", "0xAA25", "AA23 reverted"),
    ),
    "rewards are not accepted": (
        (
            "[2026-01-02][genrl][ERROR] - Failed to submit to chain.",
            "400 Client Error: Bad Request for url: http://localhost:3000/api/submit-reward",
            "POST /api/submit-winner 500 in 812ms",
            "[x][DEBUG] - 500 Server Error: Internal Server Error for url: http://localhost:3000/api/submit-winner",
            "DEBUG - hivemind_exp.chain_utils:92 - Unknown error calling submit_reward endpoint! Continuing.",
            "DEBUG - hivemind_exp.chain_utils:92 - Unknown error calling submit-winner endpoint! Continuing.",
            "Failed to call submitReward: InvalidRoundNumber",
            "Failed to call submitWinners: InvalidVoterPeerId",
            "FailedOp(0, execution reverted)",
            "user operation 0x3d94 failed after 5 replacements",
        ),
        ("POST /api/submit-reward 200 in 1400ms", "submitted to chain", "failed after replacements", "submitReward"),
    ),
    "could not be registered": (
        (
            "DEBUG - hivemind_exp.chain_utils:92 - Unknown error calling register-peer endpoint! Continuing.",
            "requests.exceptions.HTTPError: 502 Server Error: Bad Gateway for url: http://localhost:3000/api/register-peer",
            " POST /api/register-peer 500 in 2041ms",
            "Failed to call registerPeer: UnknownError",
        ),
        (
            "Registering self with peer ID: Qm",
            "Peer ID [Qm] is already registered! Continuing.",
            "POST /api/register-peer 200 in 1500ms",
            "400 Client Error: Bad Request for url: http://localhost:3000/api/register-peer",
        ),
    ),
    "the chain did not answer": (
        (
            "Could not fetch round and stage: 502 Server Error",
            "[2026-01-02 03:04:05,678][genrl][DEBUG] - Could not fetch round and stage: timed out",
            "DEBUG:hivemind_exp.trainer:Could not fetch round and stage: x",
        ),
        ("fetched round and stage: 7, 1",),
    ),
    "what other peers publish could not be read": (
        (
            "[2026-01-02 03:04:05,678][genrl][DEBUG] - Unable to refresh DHT visible addrs: timed out",
            "[2026-01-02 03:04:05,678][genrl][DEBUG] - Failed to decode value",
            "2026-01-02 03:04:05,678 - INFO - x:9 - Can't retrieve round 7 stage 0 rewards",
        ),
        ("refreshed DHT visible addrs", "decoded value", "Failed to decode values of the header"),
    ),
    "a port was in use": (
        (
            "Error: listen EADDRINUSE: address already in use :::3000",
            "OSError: [Errno 98] Address already in use",
            "Port 3000 is already in use",
            "Error response from daemon: Bind for 0.0.0.0:3000 failed: port is already allocated",
        ),
        ("port 3000 is not in use", "EADDRNOTAVAIL"),
    ),
    "Hugging Face limits": (
        (
            "requests.HTTPError: 429 Client Error: Too Many Requests for url: https://huggingface.co/x",
            "huggingface_hub.errors.HfHubHTTPError: 429 Client Error: Too Many Requests",
            "HTTP Error 429 thrown while requesting HEAD https://huggingface.co/Qwen/x/resolve/main/config.json",
        ),
        ("loaded 1429 files from huggingface.co", "HTTP 429 from api.telegram.org"),
    ),
    "the disk was full": (
        (
            "OSError: [Errno 28] No space left on device",
            "OSError: [Errno 122] Disk quota exceeded: 'optimizer.pt'",
            "RuntimeError: PytorchStreamWriter failed writing file data/2: file write failed",
            "wandb: ERROR write: no space left on device",
            "npm ERR! code ENOSPC",
            "sqlite3.OperationalError: database or disk is full",
            "RuntimeError: [enforce fail at inline_container.cc:603] . unexpected pos 512 vs 400",
        ),
        (
            "Error: ENOSPC: System limit for number of file watchers reached",
            "OSError: [Errno 28] inotify watch limit reached",
            "20 GB of space left on device /dev/sda",
            "Errno 289",
        ),
    ),
    "the limit on open files": (
        (
            "OSError: [Errno 24] Too many open files: 'x'",
            "accept4: too many open files; retrying in 5ms",
            "Error: EMFILE: too many open files, open '/app/x'",
            "RuntimeError: received 0 items of ancdata",
        ),
        ("opened 24 files", "Errno 245"),
    ),
    "nothing is learned or shared": (
        (
            "Error with swarm payloads, continuing with local state",
            "[genrl][ERROR] - Error occurred during training, continuing",
            "ERROR:genrl:Error with swarm payloads, continuing with local state: x",
            "[genrl][ERROR] - Error occurred during evaluation, continuing: CUDA error",
        ),
        (
            "continuing with local state",
            "no Error occurred during evaluation",
            "Error occurred during saving, continuing",
        ),
    ),
    "ollama, which judges": (
        (
            "[2026-01-02 03:04:05,678][genrl][ERROR] - Error pulling model from ollama: qwen2.5-coder:1.5b-instruct",
            "ConnectionError: Failed to connect to Ollama. Please check that Ollama is downloaded, running",
            "Error: could not connect to ollama app, is it running?",
            "ollama._types.ResponseError: model 'qwen2.5-coder:1.5b-instruct' not found (status code: 404)",
        ),
        ("pulling model from ollama", "connected to ollama", "time=03:04 level=INFO source=ollama.go"),
    ),
    "the prediction game failed": (
        (
            "[2026-01-02 03:04:05,678][genrl][DEBUG] - Error playing PRG game: 500 Server Error",
            "Error playing PRG game: HTTPConnectionPool(host='localhost', port=3000): Read timed out.",
            "\x1b[31m[x][ERROR] - Error playing PRG game: KeyError 'game'\x1b[0m",
        ),
        (">> Playing PRG game: true", "playing PRG game"),
    ),
    "could not be pushed": (
        (
            "[genrl][ERROR] - Failed to push model to the Hugging Face Hub. When you conclude training please try",
            "huggingface_hub.errors.HfHubHTTPError: 403 Client Error: Forbidden for url: "
            "https://huggingface.co/api/repos/create",
            'You don\'t have the rights to create a model under the namespace "amber"',
        ),
        ("pushing model to huggingface", "Pushing model to Hugging Face Hub...", "api/models: 2403 files"),
    ),
    "parts of a round were lost": (
        (
            "2026-01-02 03:04:05,678 - INFO - x:9 - Re-attempting training starting at stage 0!",
            "2026-01-02 03:04:05,678 - WARN - x:9 - Skipped malformed stage2 output from Qm: Missing 'x' key in output",
            "2026-01-02 03:04:05,678 - DEBUG - x:9 - Missing 'stage2_prompt' key in output",
        ),
        ("starting at stage 0", "malformed stage", "Missing keys in output"),
    ),
    "the trainer ended with an error": (
        (
            "[x][INFO] - Exception occurred during game run.",
            "Exception during training: x",
            ">> An error was detected while running rl-swarm. See logs/ for full logs.",
            "Encountered error during training!",
            "2026-01-02 03:04:05,678 - INFO - x:9 - Training timed out!",
        ),
        (
            "no exception occurred",
            "Training timed out? No.",
            ">> Shutting down trainer...",
            "Exception during trainings",
        ),
    ),
}

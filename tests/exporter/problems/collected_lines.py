"""Lines of problems as programs write them, each with the report or the program it is from, by the problem's name.

The patterns were written for the first, third, … line of each. Of the 88 others they knew 64 then, 12 of them by the
words in catalogues; those of before knew 19. Patterns for the other 24 came later.
"""

# As bash 5.2 writes them with glibc's words for a signal.
_BASH = "bash 5.2, glibc 2.36"

COLLECTED: dict[str, tuple[tuple[str, str], ...]] = {
    "killed": (
        (_BASH, "run.sh : ligne 12 :  9673 Processus arrêté      python -m x"),
        (_BASH, "run.sh: línea 12:  9681 Terminado (killed)      python -m x"),
        (_BASH, "run.sh: riga 12:  9687 Ucciso                  python -m x"),
        (_BASH, "run.sh, linha 12:  9692 Morto                   python -m x"),
        (_BASH, "run.sh: linha 12:  9698 Morto                   python -m x"),
        (_BASH, "run.sh: regel 12:  9703 Geëlimineerd           python -m x"),
        (_BASH, "run.sh: linia 12:  9709 Unicestwiony            python -m x"),
        (_BASH, "run.sh: рядок 12:  9718 Вбито              python -m x"),
        (_BASH, "run.sh: satır 12:  9722 Süreç durduruldu      python -m x"),
        (_BASH, "run.sh: dòng 12:  9737 Bị buộc kết thúc python -m x"),
        (_BASH, "run.sh: 줄 12:  9741 죽었음               python -m x"),
        (_BASH, "run.sh: 第 12 行： 9749 已杀死               python -m x"),
        (_BASH, "run.sh: 第 12 列： 9754 強制結束            python -m x"),
        (_BASH, "run.sh: řádek 12:  9759 Zabit (SIGKILL)         python -m x"),
        (_BASH, "run.sh: rad 12:  9765 Dödad                  python -m x"),
        (_BASH, "run.sh: linje 12:  9770 Dræbt                  python -m x"),
        (_BASH, "run.sh: linje 12:  9776 Drept                   python -m x"),
        (_BASH, "run.sh: rivi 12: 9782 Tapettu                 python -m x"),
        (_BASH, "run.sh: 12. sor:  9786 Kilőve                 python -m x"),
        (_BASH, "run.sh: γραμμή 12:  9790 Σκοτώθηκε      python -m x"),
        (_BASH, "run.sh: baris 12:  9794 Terbunuh                python -m x"),
        (_BASH, "run.sh: redak 12:  9809 Ubijen                  python -m x"),
        (_BASH, "run.sh línia 12:  9813 Matat                   python -m x"),
        (_BASH, "run.sh: ред 12:  9817 Безусловно прекъснат               python -m x"),
        ("Unitech/pm2", "PM2 log: App [trainer:0] exited with code [0] via signal [SIGKILL]"),
        ("Unitech/pm2", "2026-07-28T02:46:24: PM2 log: App [backend:0] exited with code [0] via signal [SIGKILL]"),
        ("Unitech/pm2#1839", "PM2 App name:core id:0 exited with code SIGKILL"),
        ("swiftbar/SwiftBar#179", "(x.trainer[61336]): Service exited due to SIGKILL | sent by mds[89]"),
        ("launchctl print", "    last exit reason = OS_REASON_JETSAM"),
        ("xnu", "memorystatus: killing_specific_process pid 4242 [python3.11] (per-process-limit 100) 15360MB"),
        ("hashicorp/nomad#23778", 'Terminated  Exit Code: 137, Exit Message: "Docker container exited with x: 137"'),
        ("hashicorp/nomad", 'Terminated  Exit Code: 0, Exit Message: "OOM Killed"'),
        ("hashicorp/nomad-driver-podman#14", "Terminated | Exit Code: 137"),
        ("kubernetes/kubernetes", "trainer-74464f6b98-2kj6g      0/1     OOMKilled   4 (57s ago)   2m40s"),
        ("kubeflow/kubeflow#1261", "The node was low on resource: memory. Threshold quantity: 100Mi, available: 92Mi."),
        ("flyteorg/flyte#2376", "[f8107735c673549d7acd-n0-0] terminated with exit code (137). Reason [Error]."),
        ("mozilla/bugbug#3906", "[taskcluster:error] Training task exit with status code 137"),
        ("davidsandberg/facenet#236", "Process finished with exit code 137 (interrupted by signal 9: SIGKILL)"),
        ("HTCondor", "        (0) Abnormal termination (signal 9)"),
        ("Termux", "[Process completed (signal 9) - press Enter]"),
        ("s6-svstat", "down (signal SIGKILL) 12 seconds, normally up, ready 12 seconds"),
        ("s6-svdt", "@400000005f2f3b1c2a1d4e00 signal SIGKILL"),
        ("Slurm, NeSI", "slurmstepd: error: Detected 1 oom-kill event(s) in step 370626.batch cgroup"),
        ("Slurm, OSC", "Some of your processes may have been killed by the cgroup out-of-memory handler."),
        ("Slurm", "srun: error: gpu01: task 0: Killed"),
        ("LSF", "TERM_MEMLIMIT: job killed after reaching LSF memory usage limit."),
        ("PBS", "=>> PBS: job killed: mem 68719476kb exceeded limit 67108864kb"),
        ("divamgupta/deep-clustering-kingdra#2", "2020-11-24 20:18:25.069 /bin/bash: line 27: 318 Killed sh start.sh"),
        ("InternLandMark/LandMark#65", " 31%|███▉      | 331/1063 [01:06<03:59,  3.06it/s]Killed"),
        ("xxyliuyang, OpenNMT-py#1824", "run.sh: line 66: 777016 Killed                  python train.py"),
        ("strace, hashicorp/nomad#6060", "+++ killed by SIGKILL +++"),
        ("Spark", "ExecutorLostFailure (executor 0 exited due to SIGKILL)"),
        ("kubelet", "Warning  OOMKilling  kernel-monitor  Memory cgroup out of memory: Killed process 4242 (python)"),
        ("docker compose", "trainer-1 exited with code 137 (restarting)"),
        ("bash, a job in French", "[1]+  Processus arrêté      python train.py"),
        ("bash, a job in Spanish", "[1]+  Terminado (killed)      python train.py"),
    ),
    "out_of_memory": (
        ("libc++", "libc++abi: terminating due to uncaught exception of type std::bad_alloc: std::bad_alloc"),
        ("realm", "libc++abi: terminating due to an uncaught exception of type std::bad_alloc: std::bad_alloc"),
        ("libstdc++", "  what():  std::bad_alloc"),
        (
            "ml-explore/mlx",
            "libc++abi: terminating due to uncaught exception of type std::runtime_error: [METAL] Command"
            " buffer execution failed: Insufficient Memory (00000008:kIOGPUCommandBufferCallbackErrorOutOfMemory)",
        ),
    ),
    "write_failed": (
        ("torch.serialization", "RuntimeError: basic_ios::clear: iostream error"),
        ("libstdc++", "  what():  basic_ios::clear: iostream error"),
        ("python", "OSError: [Errno 5] Input/output error"),
        (
            "libc++",
            "libc++abi: terminating due to uncaught exception of type std::__1::ios_base::failure: "
            "ios_base::clear: unspecified iostream_category error",
        ),
        (
            "pytorch",
            "RuntimeError: [enforce fail at inline_container.cc:471] . PytorchStreamWriter failed writing "
            "file data/319: file write failed",
        ),
        (
            "pytorch",
            "RuntimeError: [enforce fail at inline_container.cc:337] . unexpected pos 6979142848 vs 6979142740",
        ),
        (
            "safetensors",
            "safetensors_rust.SafetensorError: Error while serializing: I/O error: Input/output error (os error 5)",
        ),
        ("rclone, NFS", "OSError: [Errno 116] Stale file handle: 'checkpoint-500/optimizer.pt'"),
    ),
    "name_resolution": (
        ("Chat-UniVi#12", "socket.gaierror: [Errno -3] Temporary failure in name resolution"),
        ("python, macOS", "socket.gaierror: [Errno 8] nodename nor servname provided, or not known"),
        ("python, glibc", "socket.gaierror: [Errno -2] Name or service not known"),
        ("duoan/TorchCode#8", "curl: (6) Could not resolve host: huggingface.co"),
        (
            "connorlanigan/unrealengine-docker#1",
            "fatal: unable to access 'https://github.com/x/y.git/': Could not resolve host: github.com",
        ),
        ("composer/docker#165", "ssh: Could not resolve hostname github.com: Name does not resolve"),
        ("nodejs/node#15780", "Request to https://x failed: getaddrinfo EAI_AGAIN registry.bower.io:443"),
        ("node", "Error: getaddrinfo ENOTFOUND api.example.com"),
        ("httpx", "httpx.ConnectError: [Errno -3] Temporary failure in name resolution"),
        (
            "cloneofsimo/lora#200",
            "urllib3.exceptions.NewConnectionError: <urllib3.connection.HTTPSConnection object at"
            " 0x7f7e41ba20a0>: Failed to establish a new connection: [Errno -3] Temporary failure in name resolution",
        ),
        (
            "urllib3 2",
            '(Caused by NameResolutionError("<urllib3.connection.HTTPSConnection object at 0x7f>: Failed to '
            "resolve 'huggingface.co' ([Errno -3] Temporary failure in name resolution)\"))",
        ),
        ("git", "fatal: unable to access 'https://username@gitlab.com/x.git/': Couldn't resolve host 'username'"),
        ("Go", "dial tcp: lookup api.wandb.ai on 127.0.0.53:53: server misbehaving"),
        ("Go", "dial tcp: lookup api.wandb.ai: no such host"),
        ("Rust, reqwest", "dns error: failed to lookup address information: Temporary failure in name resolution"),
        ("Windows", "socket.gaierror: [Errno 11001] getaddrinfo failed"),
        ("wget", "wget: unable to resolve host address 'huggingface.co'"),
        (
            "aiohttp",
            "aiohttp.client_exceptions.ClientConnectorError: Cannot connect to host api.x.com:443 ssl:default "
            "[Name or service not known]",
        ),
        (
            "torch, c10d",
            "[W socket.cpp:663] [c10d] The IPv6 network addresses of (node0, 29500) cannot be retrieved "
            "(gai error: -2 - Name or service not known).",
        ),
        ("nccl", "NCCL WARN ncclGetSocketAddrFromPair: error getting address info: Name or service not known"),
    ),
    "rank_lost": (
        (
            "OFA-Sys/OFA#271",
            "[E ProcessGroupNCCL.cpp:737] [Rank 1] Watchdog caught collective operation timeout: "
            "WorkNCCL(SeqNum=469508, OpType=ALLREDUCE, Timeout(ms)=1800000) ran for 1802212 milliseconds before timing"
            " out.",
        ),
        (
            "LlamaFactory#7396",
            "[rank0]:[E321 02:07:08.465150152 ProcessGroupNCCL.cpp:1664] [PG 1 Rank 0] Exception "
            "(either an error or timeout) detected by watchdog at work: 1580, last enqueued NCCL work: 1582, last"
            " completed NCCL work: 1579.",
        ),
        (
            "sgl-project/sglang#1693",
            "  what():  [PG 3 Rank 5] Process group watchdog thread terminated with exception:"
            " [Rank 5] Watchdog caught collective operation timeout: WorkNCCL(SeqNum=9141)",
        ),
        (
            "snowflakedb/ArcticTraining#219",
            "[rank7]:[E626 05:14:36.393067540 ProcessGroupNCCL.cpp:1743] [PG ID 0 PG"
            " GUID 0(default_pg) Rank 7] ProcessGroupNCCL's watchdog got stuck for 480 seconds without making progress",
        ),
        (
            "LlamaFactory#6953",
            "[rank144]:[E ProcessGroupNCCL.cpp:1316] [PG 0 Rank 144] Heartbeat monitor timed out! "
            "Process will be terminated after dumping debug info. workMetaList_.size()=1",
        ),
        (
            "RVC-Project#1882",
            "RuntimeError: [../third_party/gloo/gloo/transport/tcp/pair.cc:534] Connection closed by"
            " peer [127.0.0.1]:10895",
        ),
        (
            "RVC-Project#1882",
            "RuntimeError: [../third_party/gloo/gloo/transport/tcp/pair.cc:589] Read error"
            " [192.168.70.92]:25266: Connection reset by peer",
        ),
        (
            "meta-pytorch/torchtune#2676",
            "[rank2]: RuntimeError: [/pytorch/third_party/gloo/gloo/transport/tcp/unbound_b"
            "uffer.cc:81] Timed out waiting 1800000ms for recv operation to complete",
        ),
        (
            "NVIDIA/nccl#934",
            "torch.distributed.DistBackendError: NCCL error in: ../torch/csrc/distributed/c10d/ProcessG"
            "roupNCCL.cpp:1347, remote process exited or there was a network error, NCCL version 2.18.5",
        ),
        (
            "NVIDIA/nccl#934",
            "ncclRemoteError: A call failed possibly due to a network error or a remote process exiting prematurely.",
        ),
        (
            "NVIDIA/nccl#795",
            "a100-22:183006:183220 [1] misc/socket.cc:518 NCCL WARN Net : Call to recv from"
            " 10.200.84.247<58355> failed : Broken pipe",
        ),
        (
            "NVIDIA/nccl-tests#166",
            "ubuntu:39964:40044 [0] misc/socket.cc:49 NCCL WARN socketProgress: Connection closed"
            " by remote peer node1<57557>",
        ),
        (
            "NVIDIA/nccl#2076",
            "socketProgressOpt: Call to recv from 172.16.0.1<33759> failed : Connection reset by peer",
        ),
        (
            "NVIDIA/nccl-tests#252",
            "ib_plugin.c:1105 NCCL WARN NET/IB : Got completion from peer 10.0.35.1<49189> with"
            " error 4, opcode 5327, len 5327, vendor err 81 (Send)",
        ),
        (
            "OpenRLHF/OpenRLHF#1040",
            "torch.distributed.DistStoreError: Timed out after 1801 seconds waiting for clients. 1/3 clients joined.",
        ),
        (
            "pytorch#111805",
            "torch.distributed.DistStoreError: Timed out after 6 seconds waiting for workers. 1/2 workers joined.",
        ),
        (
            "facebookresearch/metaseq#52",
            "RuntimeError: Timed out initializing process group in store based barrier on"
            " rank: 4330, for key: store_based_barrier_key:522 (world_size=2048, worker_count=1792, timeout=0:30:00)",
        ),
        (
            "torchtune#2676",
            "torch.distributed.elastic.rendezvous.api.RendezvousConnectionError: The connection to the"
            " C10d store has failed.",
        ),
        ("NVIDIA/nccl#697", "ncclSystemError: System call (socket, malloc, munmap, etc) failed."),
        (
            "QwenAudio/CosyVoice#1727",
            "Rank 5 successfully reached monitoredBarrier, but received errors while waiting"
            " for send/recv from rank 0. Please check rank 0 logs for faulty rank.",
        ),
    ),
    "worker_failed": (
        ("FastChat#555", "torch.distributed.elastic.multiprocessing.errors.ChildFailedError: "),
        (
            "LlamaFactory#163",
            "ERROR:torch.distributed.elastic.multiprocessing.api:failed (exitcode: 1) local_rank: 7"
            " (pid: 153932) of binary: /usr/bin/python",
        ),
        (
            "OEvortex/unsloth#10",
            "E0801 13:23:20.000000 32974 torch/distributed/elastic/multiprocessing/api.py:874] "
            "failed (exitcode: 1) local_rank: 3 (pid: 33054) of binary: /usr/bin/python3",
        ),
        (
            "xiuqhou/Salience-DETR#4",
            "[2024-05-08 08:47:31,877] torch.distributed.elastic.multiprocessing.api: [ERROR]"
            " failed (exitcode: 1) local_rank: 2 (pid: 5939) of binary: /usr/bin/python",
        ),
        ("torch.multiprocessing", "torch.multiprocessing.spawn.ProcessRaisedException: "),
        (
            "DeepSpeed",
            "subprocess.CalledProcessError: Command '['/usr/bin/python3', 'train.py']' returned non-zero exit"
            " status 1.",
        ),
        ("DeepSpeed", "[ERROR] [launch.py:322:sigkill_handler] ['python', 'train.py'] exits with return code = 1"),
        (
            "NVIDIA/Megatron-LM#1880",
            "E1223 05:18:02.971000 3304089 site-packages/torch/distributed/elastic/multiprocessing"
            "/api.py:882] failed (exitcode: -11) local_rank: 0 (pid: 3304209) of binary: /root/bin/python3.12",
        ),
    ),
    "hub_refused": (
        (
            "ToTheBeginning/PuLID#97",
            "huggingface_hub.errors.GatedRepoError: 401 Client Error. (Request ID: Root=1-66f4)",
        ),
        (
            "ToTheBeginning/PuLID#97",
            "Cannot access gated repo for url https://huggingface.co/x/FLUX.1-dev/resolve/main/ae.safetensors.",
        ),
        (
            "city96/ComfyUI_ExtraModels#99",
            "Access to model google/gemma-2-2b-it is restricted. You must have access to it"
            " and be authenticated to access it. Please log in.",
        ),
        ("zylon-ai/private-gpt#1985", "OSError: You are trying to access a gated repo."),
        (
            "ariG23498#5",
            "Access to model google/gemma-3-4b-pt is restricted and you are not in the authorized list. Visit"
            " https://huggingface.co/google/gemma-3-4b-pt to ask for access.",
        ),
        ("kyegomez/NeoSapiens#3", "Repo model meta-llama/Llama-2-7b is gated. You must be authenticated to access it."),
        (
            "huggingface_hub",
            "requests.exceptions.HTTPError: 401 Client Error: Unauthorized for url: https://huggingface.co"
            "/meta-llama/Llama-2-7b-hf/resolve/main/config.json",
        ),
        (
            "huggingface_hub",
            "requests.exceptions.HTTPError: 403 Client Error: Forbidden for url: https://huggingface.co"
            "/google/gemma-7b/resolve/main/config.json",
        ),
        (
            "huggingface_hub",
            "huggingface_hub.errors.HfHubHTTPError: 401 Client Error: Unauthorized for url: https://hugging"
            "face.co/api/whoami-v2 (Request ID: Root=1-68)",
        ),
        ("huggingface_hub", "Invalid user token. The token from HF_TOKEN environment variable is invalid."),
        (
            "datasets",
            "datasets.exceptions.DatasetNotFoundError: Dataset 'x/y' is a gated dataset on the Hub. You must be"
            " authenticated to access it.",
        ),
        (
            "datasets",
            "datasets.exceptions.DatasetNotFoundError: Dataset 'x/y' is a gated dataset on the Hub. Visit the"
            " dataset page at https://huggingface.co/datasets/x/y to ask for access.",
        ),
    ),
    "hub_missing": (
        (
            "liucongg/ChatGLM-Finetuning#148",
            "OSError: glm-4-9b is not a local folder and is not a valid model identifier"
            " listed on 'https://huggingface.co/models'",
        ),
        (
            "albertsokol/bunpo-check#3",
            "404 Client Error: Repository Not Found for url: https://huggingface.co/bunpo-check"
            "/resolve/main/config.json",
        ),
        (
            "AIAnytime#5",
            "huggingface_hub.utils._errors.RepositoryNotFoundError: 404 Client Error. (Request ID: Root=1-64)",
        ),
        (
            "docling#923",
            "Repository Not Found for url: https://huggingface.co/api/models/ds4sd/docling-models/revision/v2.1.0.",
        ),
        (
            "Jiaxuan-Li/EVCap#10",
            "huggingface_hub.utils._errors.RepositoryNotFoundError: 401 Client Error. (Request ID: x)",
        ),
        ("huggingface_hub", "huggingface_hub.errors.RevisionNotFoundError: 404 Client Error. (Request ID: Root=1-65)"),
        ("huggingface_hub", "Revision Not Found for url: https://huggingface.co/gpt2/resolve/v9/config.json."),
        (
            "transformers",
            "OSError: v9 is not a valid git identifier (branch name, tag name or commit id) that exists for"
            " this model name.",
        ),
        (
            "OptimalScale/LMFlow#104",
            "OSError: output_models/finetune_with_lora/checkpoint-5000 does not appear to have a"
            " file named config.json.",
        ),
        (
            "datasets",
            "datasets.exceptions.DatasetNotFoundError: Dataset 'x/y' doesn't exist on the Hub or cannot be accessed.",
        ),
        (
            "huggingface_hub",
            "requests.exceptions.HTTPError: 404 Client Error: Not Found for url: https://huggingface.co"
            "/api/models/random_model",
        ),
        (
            "datasets",
            "FileNotFoundError: Couldn't find any data file at /work/x/y. Couldn't find 'x/y' on the Hugging Face"
            " Hub either: FileNotFoundError: Dataset 'x/y' doesn't exist on the Hub.",
        ),
    ),
    "hub_unreachable": (
        (
            "transformers",
            "OSError: We couldn't connect to 'https://huggingface.co' to load the files, and couldn't find"
            " them in the cached files.",
        ),
        (
            "transformers",
            "OSError: We couldn't connect to 'https://huggingface.co' to load this file, couldn't find it in"
            " the cached files and it looks like gpt2 is not the path to a directory.",
        ),
        (
            "huggingface_hub",
            "huggingface_hub.errors.LocalEntryNotFoundError: An error happened while trying to locate the"
            " files on the Hub and we cannot find the appropriate snapshot folder",
        ),
        (
            "huggingface_hub",
            "huggingface_hub.utils._errors.LocalEntryNotFoundError: Connection error, and we cannot find"
            " the requested files in the disk cache.",
        ),
        (
            "requests",
            "requests.exceptions.ConnectTimeout: (MaxRetryError(\"HTTPSConnectionPool(host='huggingface.co',"
            " port=443): Max retries exceeded with url: /gpt2/resolve/main/config.json (Caused by ConnectTimeoutError",
        ),
        (
            "requests",
            "requests.exceptions.ReadTimeout: (ReadTimeoutError(\"HTTPSConnectionPool(host='huggingface.co',"
            " port=443): Read timed out. (read timeout=10)\"), '(Request ID: 4c1c)')",
        ),
        (
            "requests",
            "requests.exceptions.ConnectionError: (MaxRetryError(\"HTTPSConnectionPool(host='huggingface.co',"
            " port=443): Max retries exceeded with url: /api/models/x (Caused by NewConnectionError('Network is down",
        ),
        ("datasets", "ConnectionError: Couldn't reach 'x/y' on the Hub (ConnectTimeout)"),
    ),
    "download_limit": (
        ("huggingface_hub#2936", "huggingface_hub.errors.HfHubHTTPError: 429 Client Error: Too Many Requests for url."),
        (
            "huggingface/datasets#6488",
            "requests.exceptions.HTTPError: 429 Client Error: Too Many Requests for url:"
            " https://huggingface.co/datasets/cerebras/SlimPajama-627B/resolve/2d0a/train/chunk1/x.jsonl.zst",
        ),
        (
            "huggingface/datasets#7871",
            "RuntimeError: Data processing error: Reqwest Error: HTTP status client error (429"
            " Too Many Requests), domain: https://transfer.xethub.hf.co/xorbs/default/x",
        ),
        ("huggingface_hub", "HTTP Error 429 thrown while requesting GET https://huggingface.co/api/models/x/y"),
        (
            "huggingface_hub",
            "We had to rate limit your IP (1.2.3.4). To continue using our service, create a HF account or"
            " login to your existing account",
        ),
        (
            "huggingface_hub 1",
            "huggingface_hub.errors.HfHubHTTPError: Client error '429 Too Many Requests' for url"
            " 'https://huggingface.co/api/models/x' (Request ID: Root=1-69)",
        ),
    ),
    "disk_full": (
        ("python", "OSError: [Errno 28] No space left on device: '/tmp/tmpx'"),
        ("Rust", 'Error: Io(Os { code: 28, kind: StorageFull, message: "No space left on device" })'),
        ("pip", "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device"),
        ("numpy", "OSError: 1048576 requested and 983040 written"),
        ("wandb", 'wandb: ERROR Error uploading "x": OSError, [Errno 122] Disk quota exceeded'),
        ("docker", "write /var/lib/docker/tmp/GetImageBlob1: no space left on device"),
        ("cp", "cp: error writing 'checkpoint-500/optimizer.pt': No space left on device"),
        ("PyArrow", "OSError: [Errno 28] Error writing bytes to file. Detail: [errno 28] No space left on device"),
    ),
    "open_files": (
        ("python", "OSError: [Errno 24] Too many open files: '/proc/meminfo'"),
        (
            "torch",
            "RuntimeError: unable to open shared memory object </torch_1_2> in read-write mode: Too many open files"
            " (24)",
        ),
        ("Rust", "Error: Too many open files (os error 24)"),
        (
            "torch.multiprocessing",
            "RuntimeError: Too many open files. Communication with the workers is no longer"
            " possible. Please increase the limit using `ulimit -n` in the shell",
        ),
        ("Go", "accept tcp [::]:8080: accept4: too many open files"),
        ("inotify", "OSError: [Errno 24] inotify instance limit reached"),
    ),
    "port_in_use": (
        (
            "torch, c10d",
            "torch.distributed.DistNetworkError: The server socket has failed to listen on any local network"
            " address. port: 29500, useIpv6: false, code: -98, name: EADDRINUSE, message: address already in use",
        ),
        ("python, macOS", "OSError: [Errno 48] Address already in use"),
        (
            "python, asyncio",
            "OSError: [Errno 98] error while attempting to bind on address ('0.0.0.0', 8000): address already in use",
        ),
        (
            "uvicorn",
            "ERROR:    [Errno 98] error while attempting to bind on address ('127.0.0.1', 8000): address already"
            " in use",
        ),
        ("Go", "listen tcp 0.0.0.0:8080: bind: address already in use"),
        (
            "Windows",
            "OSError: [WinError 10048] Only one usage of each socket address (protocol/network address/port) is"
            " normally permitted",
        ),
        ("gradio", "OSError: Cannot find empty port in range: 7860-7860. You can specify a different port"),
        (
            "gRPC",
            "Failed to bind to address [::]:50051; set GRPC_VERBOSITY=debug environment variable to see detailed"
            " error message.",
        ),
    ),
}

# Collected when the patterns were done, in two rounds: they knew 7 of the 22 first, then 5 of the 11 others. Two of the
# latter stay unknown: a retry of c10d's client, and a token that axolotl could not verify, which not every run needs.
LATER: dict[str, tuple[tuple[str, str], ...]] = {
    "rank_lost": (
        (
            "verl#108",
            "torch.distributed.DistBackendError: NCCL error in: ../torch/csrc/distributed/c10d/ProcessGro"
            "upNCCL.cpp:2615, unhandled system error (run with NCCL_DEBUG=INFO for details), NCCL version"
            " 2.24.3",
        ),
        (
            "verl#108",
            "ncclSystemError: System call (e.g. socket, malloc) or external library call failed or device error. ",
        ),
        (
            "verl#108",
            "[Service thread] Error encountered progressing operation=Connect, res=3, closing connection",
        ),
        (
            "nccl#975",
            "n122-246-085:12251:12400 [5] misc/socket.cc:483 NCCL WARN socketStartConnect: Connect to fe8"
            "0::966d:ae03:a2:8cf0%ib1<17943> failed : Software caused connection abort",
        ),
        (
            "vllm#798",
            "(LLMEngine pid=2347640, ip=10.58.226.15) Proxy Call to rank 7 failed (Connect)",
        ),
        (
            "pytorch#38702",
            "include/socket.h:390 NCCL WARN Connect to 10.38.10.112<21724> failed : Connection refused",
        ),
        (
            "nccl#207",
            "RuntimeError: NCCL error in: /torch/lib/c10d/ProcessGroupNCCL.cpp:260, unhandled system error",
        ),
        (
            "ray#47461",
            "(raylet) A worker died or was killed while executing a task by an unexpected system error. T"
            "o troubleshoot the problem, check the logs for the dead worker. RayTask ID: ff Worker exit d"
            "etail: Worker unexpectedly exits with a connection error code 2. End of file. There are some"
            " potential root causes. (1) The process is killed by S",
        ),
        (
            "OpenRLHF#624",
            "The actor is dead because its worker process has died. Worker exit type: SYSTEM_ERROR Worker"
            " exit detail: Worker unexpectedly exits with a connection error code 2. End of file. There a"
            "re some potential root causes. (1) The process is killed by SIGKILL by OOM killer due to hig"
            "h memory usage.",
        ),
        (
            "xinference#4421",
            "[rank1]:[W1229 22:06:38.480071392 ProcessGroupNCCL.cpp:1662] [PG ID 0 PG GUID 0 Rank 1] Fail"
            'ed to check the "should dump" flag on TCPStore, (maybe TCPStore server has shut down too ear'
            "ly), with error: Broken pipe",
        ),
        (
            "xinference#4421",
            "[rank1]:[W1229 22:06:38.558655037 TCPStore.cpp:106] [c10d] sendBytes failed on SocketImpl(fd"
            "=67, addr=[bogon]:36214, remote=[bogon]:43145): Broken pipe",
        ),
        (
            "trl#4538",
            "[E1118 17:30:24.226257071 socket.cpp:1019] [c10d] The client socket has timed out after 3000"
            "00ms while trying to connect to (127.0.0.1, 51216).",
        ),
    ),
    "hub_missing": (
        (
            "wikineural#1",
            "FileNotFoundError: Couldn't find file at https://huggingface.co/datasets/Babelscape/wikineur"
            "al/resolve/main/wikineural.py",
        ),
    ),
    "name_resolution": (
        (
            "ai-toolkit#468",
            "'(MaxRetryError('HTTPSConnectionPool(host=\\'huggingface.co\\', port=443): Max retries exceede"
            "d with url: /Qwen/Qwen-Image/resolve/main/transformer/config.json (Caused by NameResolutionE"
            'rror("<urllib3.connection.HTTPSConnection object at 0x000001AD4959C880>: Failed to resolve \\'
            "'huggingface.co\\' ([Errno 11001] getaddrinfo failed)\")",
        ),
        (
            "alltalk#109",
            "Failed to establish a new connection: [Errno 11001] getaddrinfo failed'))",
        ),
        (
            "datasets#6548",
            "Failed to resolve \\'huggingface.co\\' ([Errno -3] Temporary failure in name resolution)\"))')))",
        ),
    ),
    "hub_unreachable": (
        (
            "datasets#6548",
            "Couldn't reach https://huggingface.co/datasets/wikimedia/wikipedia/resolve/4cb9/20231101.ext"
            "/train-00000-of-00001.parquet",
        ),
        (
            "bagel#3",
            "requests.exceptions.SSLError: (MaxRetryError(\"HTTPSConnectionPool(host='huggingface.co', por"
            "t=443): Max retries exceeded with url: /api/datasets/Muennighoff/natural-instructions/revisi"
            "on/a29 (Caused by SSLError(SSLEO",
        ),
    ),
    "disk_full": (
        (
            "LlamaFactory#5155",
            "safetensors_rust.SafetensorError: Error while serializing: IoError(Os { code: 28, kind: Stor"
            'ageFull, message: "No space left on device" })',
        ),
        (
            "mmdetection#12069",
            "OSError: [Errno 122] Disk quota exceeded",
        ),
    ),
    "write_failed": (
        (
            "ms-swift#6493",
            "safetensors_rust.SafetensorError: Error while serializing: I/O error: Invalid argument (os error 22)",
        ),
        (
            "pytorch#10577",
            "RuntimeError: write(): fd 29 failed with Input/output error",
        ),
        (
            "LlamaFactory#1223",
            "RuntimeError: [enforce fail at inline_container.cc:445] . PytorchStreamWriter failed writing"
            " file data/176: file write failed",
        ),
        (
            "grid-lstm#5",
            "File.lua:210: write error: wrote 39776036 blocks instead of 41251350 at /tmp/THDiskFile.c:340",
        ),
        (
            "ronin#51",
            "RuntimeError: File my_out/checkpoints/checkpoint_0.pt cannot be opened.",
        ),
    ),
    "hub_refused": (
        (
            "llm2vec#36",
            "HTTPError: 403 Client Error: Forbidden for url: https://huggingface.co/meta-llama/Meta-Llama"
            "-3-8B-Instruct/resolve/main/config.json",
        ),
        (
            "inference#1734",
            "huggingface_hub.utils._errors.GatedRepoError: 401 Client Error. (Request ID: Root=1-667ea709"
            "-40b704097bad97526456dd7c;c8a0107e)",
        ),
        (
            "inference#1734",
            "Cannot access gated repo for url https://huggingface.co/api/models/meta-llama/Meta-Llama-3-8"
            "B-Instruct/revision/main.",
        ),
        (
            "mistral.rs#621",
            'Could not get file "tokenizer.json" from API: RequestError(Status(403, Response[status: 403,'
            " status_text: Forbidden, url: https://huggingface.co/meta-llama/Meta-Llama-3.1-8B-Instruct/r"
            "esolve/main/tokenizer.json]))",
        ),
        (
            "transformers#31367",
            "GatedRepoError: 403 Client Error. (Request ID: Root=1-666818ee-6abafae6007c6222061fad0c;ec00893a)",
        ),
        (
            "transformers#31367",
            "OSError: You are trying to access a gated repo.",
        ),
    ),
}

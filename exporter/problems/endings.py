"""Who ended a trainer, and memory that did not suffice, as shells, launchers, systems and frameworks say. Pure."""

from exporter.problems.problem_class import define

# What shells write in the languages of their users.
_TRANSLATED = ("已杀死", "強制終了", "Убито", "Getötet")
_KILLED = "|".join(("Killed(: 9)?", *_TRANSLATED))

ENDINGS = (
    define(
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
    define(
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
)

# Each line that they know holds one of these.
MARKERS = (
    *("rror", "illed", "SIGKILL", "xit", "return code", "oom", "emory", "bad_alloc", "ALLOC_FAILED"),
    *("rrno", "ignal 9", "137", "available"),
    *_TRANSLATED,
)

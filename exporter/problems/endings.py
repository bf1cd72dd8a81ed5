"""Who ended a trainer, and memory that did not suffice, as shells, launchers, systems and frameworks say. Pure."""

import re

from exporter.problems.problem_class import define

# The word for SIGKILL in glibc's catalogues, and in bash's own where it differs; how those of bash name a line.
_TRANSLATED = (
    *("已杀死", "強制結束", "強制終了", "죽었음", "Bị buộc kết thúc", "Bị giết", "Terbunuh", "Dibunuh"),
    *("Убито", "Убит", "Вбито", "Вбитий", "Убијен", "Безусловно прекъснат", "Забіты", "Σκοτώθηκε"),
    *("Processus arrêté", "Tué", "Getötet", "Abgebrochen (Killed)", "Terminado (killed)", "Matado", "Matat", "Ucciso"),
    *("Morto (Killed)", "Morto", "Geëlimineerd", "Dræbt", "Slået ihjel", "Drept", "Dödad", "Tapettu", "Buĉita"),
    *("Unicestwiony", "Zabit (SIGKILL)", "Zabitý", "Zabit", "Pobit", "Uničen", "Ubijen", "Kilőve"),
    *("Süreç durduruldu", "Öldürüldü", "Nutraukta (killed)"),
)
_LINE = (
    r"((line|ligne|línea|línia|liña|linha|linia|linio|linje|riga|regel|rivi|rad|redak|riadok|řádek"
    r"|vrstica|Zeile|baris|satır|dòng|eilutė|строка|рядок|ред|γραμμή|줄|行) ?\d+ª?"
    r"|\d+ (行|eilutė)|\d+\. (sor|satır|ред)|第 \d+ [行列])"
)
_KILLED = "|".join(("Killed(: 9)?", *map(re.escape, _TRANSLATED)))
# A line of nothing else: some of the words are ordinary ones.
_ALONE = "Killed(: 9)?|已杀死|強制終了|強制結束|Убито|Getötet|Processus arrêté|Terminado \\(killed\\)"

ENDINGS = (
    define(
        "killed",
        (
            # Shells: a command of a script, a job, a command of a terminal, one that drew a bar.
            rf"^(\S{{1,80}}\s{{0,40}}\| |\d{{4}}-\d\d-\d\d[T ]\S+ |(?>.*?\w\[\d+\]: ))?\s*+({_ALONE})\s*$",
            rf"([:,]\s{{0,8}}|^\S{{1,200}} (?=línia)){_LINE}\s?[:：]\s+\d+ ({_KILLED})(?!\w)",
            rf"^\[\d+\]\s{{0,8}}[+-]?\s{{0,8}}(\d+\s{{1,8}})?({_KILLED})(\s{{2,}}|\s*$)",
            r"^zsh: killed\s|^make(\[\d+\])?: \*\*\* .*\] (Killed|Error 137)\b",
            r"(it/s|s/it)[^\]]{0,200}\]\s?Killed\s*$",
            # Python, torchrun, accelerate, DeepSpeed, fish, supervisord, strace.
            r"died with <Signals\.SIGKILL",
            r"Signal 9 \(SIGKILL\) received|\+\+\+ killed by SIGKILL \+\+\+",
            r"^(?!.*\bstopped: ).*\bterminated (with|by)( signal)? SIGKILL\b",
            r"is killed by signal: Killed|\b(terminated|died) (with|due to) signal 9\b|\bSIGKILL\(-9\)",
            r"\b(exit ?code|return code|exit status:)\s{0,8}[:=]?\s{0,8}-(9|SIGKILL)\b|\bexited with -9\b",
            # systemd, the kernel, docker, Kubernetes, Slurm, Ray.
            r"code=killed, status=9/KILL",
            r"killed by the (OOM killer|cgroup out-of-memory handler)|\bExit Message: \"OOM Killed",
            r"result 'oom-kill'|\boom-kill:constraint|invoked oom-killer|\boom[-_]kill event",
            r"\bKilled process \d+ \(|\boom_reaper: reaped process|systemd-oomd killed \d|killed by systemd-oomd",
            r"\btask [\d,-]{1,40}: (Out Of Memory|Killed)\s*$|CANCELLED: OUT_OF_MEMORY",
            r"\bjob killed: \w{1,8} \d+[kmgt]?b exceeded limit|\bjob killed after reaching LSF memory usage limit",
            r"ray\.exceptions\.OutOfMemoryError|killed due to (memory pressure|the node running low on memory)",
            r"\bOOMKilled\b(?!\"?\s*[:=]\s*(false|0))|\bThe node was low on resource: memory\b",
            r"\bexit(ed|s)?( with)?( non-zero)?( (exit|status))? ?(code|status)[\" :=(]{1,12}137\b",
            r"\bexited (with )?\(?137\b|non-zero code: 137\b",
            # pm2, s6, HTCondor, Termux; launchd, unless it was told to stop the service.
            r"\bexited with code (\[\d{1,3}\] via signal \[)?SIGKILL\b|\b(termination|completed) \(signal 9\)",
            r"^down \(signal SIGKILL\) \d|^@[0-9a-f]{24} signal SIGKILL\b",
            r"\bexited due to SIGKILL\b(?! \| sent by launchd)|\b(reason =|due to) OS_REASON_JETSAM\b",
            r"\bmemorystatus: killing_",
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
    *("illed", "SIGKILL", "xit", "return code", "oom", "emory", "buffer size", "bad_alloc", "ALLOC_FAILED", "rrno"),
    *("ignal 9", "137", "available", "JETSAM", "memorystatus"),
    *_TRANSLATED,
)

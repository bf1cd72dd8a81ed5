"""What the machine has too little of: disk, ports, files. Pure."""

from exporter.problems.problem_class import define

MACHINE = (
    define(
        "port_in_use",
        (r"EADDRINUSE\b|Address already in use|\bports?( \d+)? (is|are) (in use|already (in use|all)|not available:)",),
        "a port was in use",
        "end leftovers of an earlier run, or choose other ports",
    ),
    define(
        "disk_full",
        (
            r"No space left on device|\bErrno 28\b(?!\]? inotify)|\bcode ENOSPC\b|Disk quota exceeded",
            r"PytorchStreamWriter failed writing|inline_container\.cc:\d+\] \. unexpected pos",
            r"database or disk is full|Not enough free disk space to download",
        ),
        "the disk was full",
        "free some space, or set state_dir to another disk",
    ),
    define(
        "open_files",
        (r"\bToo many open files\b", r"\bErrno 24\b|\bEMFILE\b", r"received 0 items of ancdata"),
        "the limit on open files was reached",
        "raise it: `ulimit -n 4096` before the start",
    ),
)

# Each line that they know holds one of these.
MARKERS = (
    *("EADDRINUSE", "already", "in use", "oo many", "rrno", "o space", "quota", "EMFILE", "ENOSPC", "isk "),
    *("unexpected pos", "ancdata", "ailed", "available"),
)

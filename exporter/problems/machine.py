"""What the machine lacks: ports, disk, files, the addresses of hosts. Pure."""

from exporter.problems.problem_class import define

MACHINE = (
    define(
        "port_in_use",
        (
            r"EADDRINUSE\b|Address already in use|Cannot find empty port in range: \d|\[WinError 10048\]",
            r"\bports?( \d+)? (is|are) (in use|already (in use|all)|not available:)|\bFailed to bind to address \S+:\d",
        ),
        "a port was in use",
        "end leftovers of an earlier run, or choose other ports",
    ),
    define(
        "disk_full",
        (
            r"No space left on device|\bErrno 28\b(?!\]? inotify)|\bcode ENOSPC\b|Disk quota exceeded",
            r"database or disk is full|Not enough free disk space to download|\bOSError: \d+ requested and \d+ written",
        ),
        "the disk was full",
        "free some space, or set state_dir to another disk",
    ),
    define(
        "write_failed",
        (
            r"PytorchStreamWriter failed writing|inline_container\.cc:\d+\] \. unexpected pos",
            r"\bios_base::failure\b|\bbasic_ios::clear: iostream error",
            r"\bError while serializing: I/?O ?error: |\bwrite error: wrote \d+ blocks instead of \d",
            r"\bfd \d+ failed with Input/output error|\bRuntimeError: File \S{1,200} cannot be opened\.",
            r"\[Errno 5\] Input/output error|: Input/output error \(os error 5\)|\[Errno 116\] Stale file handle",
        ),
        "a file could not be written or read as a whole",
        "check the disk's free space, quota and connection; was it the output of a closed terminal, start without one",
    ),
    define(
        "open_files",
        (r"\bToo many open files\b", r"\bErrno 24\b|\bEMFILE\b", r"received 0 items of ancdata"),
        "the limit on open files was reached",
        "raise it: `ulimit -n 4096` before the start",
    ),
    define(
        "name_resolution",
        (
            r"\bsocket\.gaierror: |\bgai error: -\d",
            r"[\[\]):>-] ?(Temporary failure in name resolution|Name or service not known)\s*($|[\])'\"},;.])",
            r"\bCould(n't| not) resolve ((host|proxy)(: \S| ')|hostname \S{1,200}:)",
            r"\bgetaddrinfo (EAI_\w{1,20}|ENOTFOUND)\b|\] getaddrinfo failed\b|\bNameResolutionError\(",
            r"\blookup [\w.-]{1,200}( on \S{1,80})?: (no such host|server misbehaving)\b",
            r"\bfailed to lookup address information\b|\bunable to resolve host address\b",
        ),
        "the address of a host could not be looked up",
        "check this machine's network and DNS, and the host's name; offline, HF_HUB_OFFLINE=1 uses what is on the disk",
        is_warning=True,
    ),
)

# Each line that they know holds one of these.
MARKERS = (
    *("EADDRINUSE", "already", "in use", "empty port", "WinError", "ailed", "available", "rrno", "o space", "quota"),
    *(
        "ENOSPC",
        "isk ",
        "requested and",
        "unexpected pos",
        "iostream",
        "ios_base",
        "os error 5",
        "utput error",
        "Stale",
    ),
    *("serializing", "blocks instead", "be opened", "oo many", "EMFILE", "ancdata", "gai", "esolution", "not known"),
    *("resolve", "getaddrinfo", "lookup "),
)

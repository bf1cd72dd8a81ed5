"""The limit of open files, which bounds the connections of a server: launchd and macOS start programs with 256."""

import resource

# What a process has open besides its connections.
OTHER_FILES = 128


def choose_limit(soft: int, hard: int, wanted: int) -> int:
    """The soft limit to set: `wanted`, less where the hard one does not let it, never less than now; pure."""
    if soft == resource.RLIM_INFINITY:
        return soft
    return max(soft, wanted if hard == resource.RLIM_INFINITY else min(wanted, hard))


def allow_open_files(wanted: int) -> int:
    """Raises the soft limit towards `wanted` files; returns how many may be open now, at most `wanted`."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = choose_limit(soft, hard, wanted)
    if limit != soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    return wanted if limit == resource.RLIM_INFINITY else min(limit, wanted)


def allow_connections(wanted: int) -> int:
    """How many connections there may be: `wanted`, or fewer where too few files may be open."""
    return max(16, min(wanted, allow_open_files(wanted + OTHER_FILES) - OTHER_FILES))

"""Formats sizes of memory and disk (`1.5 GiB`, `512 MiB`)."""

GIB = 2**30
MIB = 2**20


def show_size(count: float | None) -> str:
    """Bytes in GiB with one decimal place from 1 GiB on, in whole MiB below; a dash for no measurement."""
    if count is None:
        return "–"
    return f"{count / GIB:.1f} GiB" if count >= GIB else f"{count / MIB:.0f} MiB"

"""In which order the overview shows its peers, and which of them. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlencode

from alerts.web.page.rows import PeerRow

# Fewer are seen at a glance.
LEAST_FILTERED = 8
_LONGEST_TEXT = 100
_ATTENTION = {"bad": 0.0, "warn": 1.0, "none": 2.0, "calm": 3.0, "good": 4.0}

# What rows are ordered by, by column; None comes last.
_KEYS: Mapping[str, Callable[[PeerRow], float | str | None]] = {
    "peer": lambda row: row.peer.casefold(),
    "machine": lambda row: row.machine.casefold(),
    "state": lambda row: _ATTENTION[row.severity],
    "step_rate": lambda row: row.values["steps_per_second"],
    "last_step": lambda row: row.values["last_step_timestamp"],
    "memory": lambda row: row.memory_share,
    "rank": lambda row: row.values["rank"],
    "reward": lambda row: row.values["reward_mean"],
    "round": lambda row: row.values["round"],
}
# Where the largest matters most, it comes first.
_LARGEST_FIRST = frozenset({"step_rate", "memory", "reward", "round"})


@dataclass(frozen=True)
class Arrangement:
    """The column to sort by, or none for the configuration's order, and what a peer's row must contain."""

    sort: str = ""
    is_descending: bool = False
    text: str = ""

    def toggled(self, column: str) -> "Arrangement":
        """Sorted by a column, or, if it is already, the other way round."""
        is_descending = not self.is_descending if column == self.sort else column in _LARGEST_FIRST
        return replace(self, sort=column, is_descending=is_descending)

    @property
    def query(self) -> str:
        """As in the address of the page."""
        given = {"sort": f"{'-' if self.is_descending else ''}{self.sort}", "peers": self.text}
        return urlencode({name: value for name, value in given.items() if value})


AS_CONFIGURED = Arrangement()


def read_arrangement(given: Mapping[str, str]) -> Arrangement:
    """What the address asks for; an unknown column is none."""
    sort = given.get("sort", "")
    column = sort.removeprefix("-")
    text = given.get("peers", "")[:_LONGEST_TEXT]
    return Arrangement(column, sort.startswith("-"), text) if column in _KEYS else Arrangement(text=text)


def arrange(rows: Sequence[PeerRow], arrangement: Arrangement, terms: Mapping[str, str]) -> list[tuple[PeerRow, bool]]:
    """The rows in order, each with whether it is shown; `terms` are the words of the states."""
    return [(row, _contains(row, arrangement.text, terms)) for row in _sort(rows, arrangement)]


def _sort(rows: Sequence[PeerRow], arrangement: Arrangement) -> list[PeerRow]:
    key = _KEYS.get(arrangement.sort)
    if key is None:
        return list(rows)
    known = [(value, row) for row in rows if (value := key(row)) is not None]
    known.sort(key=lambda one: one[0], reverse=arrangement.is_descending)
    return [row for _, row in known] + [row for row in rows if key(row) is None]


def _contains(row: PeerRow, text: str, terms: Mapping[str, str]) -> bool:
    told = " ".join((row.peer, row.nickname, row.machine, terms.get(row.state, row.state), *row.alerts)).casefold()
    return all(word in told for word in text.casefold().split())

"""One scrape of a sidecar: its finite samples, by name and labels."""

import re
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from math import isfinite

from prometheus_client.parser import text_string_to_metric_families

MAX_LINE_LENGTH = 4096
MAX_LINES = 4000
MAX_LABEL_LENGTH = 128

Labels = frozenset[tuple[str, str]]
Places = Mapping[str, Mapping[Labels, int]]

# A series of ours, and its number. No rule reads comments, and a hostile page may hold much else.
_SAMPLE = re.compile(r"\n((?:trainer|swarm|sidecar|accelerator|host)_(?:[^\n]* )?)([^ \n]*)")
_SERIES = re.compile(r"[a-z][a-zA-Z0-9_]*(\{.*\})? *")
_NONE: Mapping[Labels, int] = {}


class Page:
    """The samples of one page. A value that was not measured, or is not finite, is absent.

    The numbers are in one array, and all pages of one shape share the index of names and labels.
    """

    __slots__ = ("_infos", "_numbers", "_places")

    def __init__(self, samples: Mapping[str, Mapping[Labels, float]] | None = None) -> None:
        found = [(name, labels, value) for name, values in (samples or {}).items() for labels, value in values.items()]
        self._numbers = array("d", (value for _, _, value in found))
        self._places = _share_places(tuple((name, labels) for name, labels, _ in found))
        self._infos: Mapping[str, Labels] = {}

    @classmethod
    def of_page(cls, places: Places, numbers: Iterable[float], infos: Mapping[str, Labels]) -> "Page":
        """A page whose `numbers` are where `places` says; `infos` are the labels of the info metrics."""
        page = cls()
        page._places, page._numbers, page._infos = places, array("d", numbers), infos
        return page

    def plus(self, name: str, labels: Labels, value: float) -> "Page":
        """This page with one more sample."""
        series = [("", frozenset[tuple[str, str]]())] * len(self._numbers)
        for one, places in self._places.items():
            for found, place in places.items():
                series[place] = one, found
        return Page.of_page(_share_places((*series, (name, labels))), [*self._numbers, value], self._infos)

    def only(self, prefix: str) -> "Page":
        """This page with the samples alone whose name begins so."""
        return Page({name: self.values(name) for name in self._places if name.startswith(prefix)})

    def shifted(self, seconds: float) -> "Page":
        """This page with all its times later by so many seconds."""
        numbers = array("d", self._numbers)
        for name, places in self._places.items():
            if name.endswith("_timestamp_seconds"):
                for place in places.values():
                    numbers[place] += seconds
        return Page.of_page(self._places, numbers, self._infos)

    @property
    def places(self) -> Places:
        """The index in `numbers` of each sample; pages of one shape share the same object."""
        return self._places

    @property
    def numbers(self) -> Sequence[float]:
        """The numbers of the page, including those that are not finite."""
        return self._numbers

    def samples(self) -> Iterator[tuple[str, Labels, float]]:
        """Name, labels and number of each sample."""
        for name, places in self._places.items():
            for labels, place in places.items():
                yield name, self._infos.get(name, labels), self._numbers[place]

    def is_empty(self) -> bool:
        return not self._numbers

    def value(self, name: str, **labels: str) -> float | None:
        """The first sample of `name` that has `labels`; None if there is none."""
        found_places = self._places.get(name)
        if found_places is None:
            return None
        for found, place in found_places.items():
            if not labels or labels.items() <= found:
                number = self._numbers[place]
                if isfinite(number):
                    return number
        return None

    def values(self, name: str) -> dict[Labels, float]:
        """All samples of `name`, by their labels."""
        samples = {found: self._numbers[place] for found, place in self._places.get(name, _NONE).items()}
        return {labels: number for labels, number in samples.items() if isfinite(number)}

    def labels(self, name: str) -> dict[str, str]:
        """The labels of the first sample of `name`, as an info metric carries them."""
        return dict(self._infos[name] if name in self._infos else next(iter(self._places.get(name, _NONE)), ()))

    def is_current(self) -> bool:
        """Whether the running trainer process wrote the trainer's part of the page, not the one before it."""
        started = self.value("trainer_start_timestamp_seconds")
        phase_start = self.value("trainer_phase_start_timestamp_seconds")
        return started is None or (phase_start is not None and phase_start >= started)

    def state(self) -> str | None:
        """The phase that the trainer reports, or `starting` until it reports one; None if nobody reads its progress."""
        if self.value("trainer_progress_readers") == 0:
            return None
        if not self.is_current():
            return "starting"
        for found, value in self.values("trainer_state").items():
            if value == 1:
                return dict(found).get("trainer_state")
        return None

    def is_up(self) -> bool | None:
        """Whether the trainer's process runs; None if unknown."""
        up = self.value("trainer_up")
        return None if up is None else up == 1


def read_page(content: bytes | bytearray) -> Page:
    """The same for a page as it came; raises ValueError for one that is none."""
    return parse(content.decode("utf-8", errors="replace"))


def parse(page: str) -> Page:
    """The samples of a sidecar's page; raises ValueError for a page that is not one."""
    found = _SAMPLE.findall(f"\n{page}")
    if not found:
        raise ValueError("the page holds no sample of a sidecar")
    if len(found) > MAX_LINES:
        raise ValueError(f"the page holds more than {MAX_LINES} samples")
    series, numbers = zip(*found, strict=True)
    # The labels of an info metric differ from peer to peer, the shape of all else hardly ever.
    infos = dict(_parse_series(one) for one in series if "_info{" in one)
    if infos:
        series = tuple(one.partition("{")[0] if "_info{" in one else one for one in series)
    return Page.of_page(_find_places(series), map(float, numbers), infos)


@lru_cache(maxsize=256)
def _share_places(series: tuple[tuple[str, Labels], ...]) -> Places:
    """The index of each name and labels; no name stands for a number that has none."""
    places: dict[str, dict[Labels, int]] = {}
    for place, (name, labels) in enumerate(series):
        if name:
            places.setdefault(name, {})[labels] = place
    return places


@lru_cache(maxsize=64)
def _find_places(series: tuple[str, ...]) -> Places:
    """The index of each name and labels."""
    places: dict[str, dict[Labels, int]] = {}
    for place, one in enumerate(series):
        if len(one) <= MAX_LINE_LENGTH:
            name, labels = _parse_series(one)
            places.setdefault(name, {})[labels] = place
    if not places:
        raise ValueError("the page holds no sample of a sidecar")
    return places


@lru_cache(maxsize=4096)
def _parse_series(series: str) -> tuple[str, Labels]:
    """Name and labels of a series as a page has it; raises ValueError."""
    if not _SERIES.fullmatch(series):
        raise ValueError("not a series")
    (family,) = text_string_to_metric_families(f"{series} 0\n")
    (sample,) = family.samples
    return sample.name, _bounded(sample.labels)


def _bounded(labels: Mapping[str, str]) -> Labels:
    """Labels that are safe to display and log: bounded, without control characters."""
    return frozenset(
        (name, "".join(c for c in text if c.isprintable())[:MAX_LABEL_LENGTH]) for name, text in labels.items()
    )

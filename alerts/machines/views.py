"""What the rules see of machines elsewhere, from the pages of their sidecars; pure but for what it remembers."""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import replace

from alerts.i18n.translatable import say
from alerts.rules import View
from alerts.scraping.page import Page
from alerts.scraping.scraper import Scrape
from alerts.scraping.target import Target

CLOCK = "host_clock_timestamp_seconds"
# Added to the machine's page: by how much its clock is ahead of ours.
CLOCK_LEAD = "host_clock_lead_seconds"
# A page is up to a collection old, so that a right clock may seem this much behind.
SAME_CLOCK_SECONDS = 10.0
# How long a machine that joins may take to tell its peers.
START_SECONDS = 600.0
# Scrapes over which the least age of a page is taken.
SCRAPES = 20
# A correction stays until it is off by so much: what began at a time did not begin at another with each page.
STEADY_SECONDS = 2.0


class MachineWatch:
    """The machines elsewhere, by name."""

    def __init__(
        self, names: Iterable[str], targets: Iterable[Target], now: float, leads: Mapping[str, float] | None = None
    ) -> None:
        """`now` is by a clock that never steps; `leads` are those that an earlier run found."""
        self._peers: dict[str, list[str]] = {name: [] for name in names}
        for target in targets:
            if target.machine:
                self._peers[target.machine].append(target.peer)
        self._machine_of = {peer: machine for machine, peers in self._peers.items() for peer in peers}
        # One that has just joined may still have to be started again for it.
        self._answered_at = {name: now if peers else now + START_SECONDS for name, peers in self._peers.items()}
        self._clocks: dict[str, deque[float]] = {name: deque(maxlen=SCRAPES) for name in self._peers}
        self._leads = {name: lead for name, lead in (leads or {}).items() if name in self._peers}
        # The first pages after a start may be old: they are taken together with what was known before.
        self._known = dict(self._leads)

    @property
    def leads(self) -> Mapping[str, float]:
        """By how much each machine's clock is ahead, as its times are corrected by; those that were seen."""
        return dict(self._leads)

    @property
    def names(self) -> Iterable[str]:
        return self._peers.keys()

    def correct(self, scrapes: Mapping[str, Scrape], now: float) -> dict[str, Scrape]:
        """The same with the times of each page by the clock of this machine; `now` is its Unix time."""
        for peer, scrape in scrapes.items():
            machine = self._machine_of.get(peer)
            clock = scrape.page.value(CLOCK) if machine and scrape.page else None
            if machine and clock is not None:
                self._note(machine, clock - (now - scrape.age_seconds))
                lead = max(self._clocks[machine])
                if abs(lead - self._leads.get(machine, 0.0)) >= STEADY_SECONDS:
                    self._leads[machine] = lead
        return {peer: self._corrected(peer, scrape) for peer, scrape in scrapes.items()}

    def _note(self, machine: str, lead: float) -> None:
        known = self._known.pop(machine, None)
        if known is not None and abs(lead - known) <= SAME_CLOCK_SECONDS:
            self._clocks[machine].append(known)
        self._clocks[machine].append(lead)

    def lead_seconds(self, machine: str) -> float:
        """By how much the machine's clock is ahead of ours; 0 where no difference can be told."""
        lead = self._leads.get(machine, 0.0)
        return lead if abs(lead) > SAME_CLOCK_SECONDS else 0.0

    def views(self, scrapes: Mapping[str, Scrape], now: float, steady: float) -> list[View]:
        """One view for each machine; `steady` is by the clock of `__init__`."""
        return [self._view(name, scrapes, now, steady) for name in self._peers]

    def _view(self, name: str, scrapes: Mapping[str, Scrape], now: float, steady: float) -> View:
        found = [scrapes[peer] for peer in self._peers[name] if peer in scrapes]
        pages = [scrape.page for scrape in found if scrape.page is not None]
        if pages:
            self._answered_at[name] = steady
        own = next((page.only("host_") for page in pages if page.value(CLOCK) is not None), Page())
        return View(
            peer=name,
            now=now,
            page=own.plus(CLOCK_LEAD, frozenset(), self.lead_seconds(name)) if pages else None,
            failure="" if pages else found[0].failure if found else say("it has told no peers yet"),
            unreachable_seconds=max(0.0, steady - self._answered_at[name]),
            scope="host",
        )

    def _corrected(self, peer: str, scrape: Scrape) -> Scrape:
        machine = self._machine_of.get(peer)
        lead = self.lead_seconds(machine) if machine else 0.0
        if not lead or scrape.page is None:
            return scrape
        return replace(scrape, page=scrape.page.shifted(-lead))

"""Each peer's restart record, in the alert loop's database and in memory."""

import json
from collections.abc import Mapping
from dataclasses import asdict

from alerts.restart_record import Record
from alerts.store import Store


class Records:
    """The records by peer."""

    def __init__(self, store: Store) -> None:
        self._store = store
        rows = store.execute("SELECT peer, record FROM restarts")
        self._records = {peer: _decode(text) for peer, text in rows}

    @property
    def all(self) -> Mapping[str, Record]:
        return self._records

    def put(self, peer: str, record: Record) -> None:
        self._store.execute(
            "INSERT OR REPLACE INTO restarts (peer, record) VALUES (?, ?)", (peer, json.dumps(asdict(record)))
        )
        self._records[peer] = record


def _decode(text: str) -> Record:
    values = json.loads(text)
    return Record(**{**values, "past": tuple(values["past"])})

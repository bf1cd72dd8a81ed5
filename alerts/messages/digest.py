"""The daily summary: how many peers run, what fires, and what happened since the last one. Pure."""

from collections.abc import Mapping

from alerts.engine.status import Status
from alerts.messages.grouped import Letter
from alerts.messages.single import Style, fits, format_time
from alerts.rules import is_trouble


def compose_digest(status: Status, happened: Mapping[str, int], style: Style) -> Letter:
    """`happened` counts the events by kind since the last summary."""
    words = style.words
    readings = [scrape.reading for scrape in status.scrapes.values()]
    running = sum(reading is not None and reading.is_up() is True for reading in readings)
    lines = [
        words.digest_peers.format(running, len(readings)),
        words.digest_events.format(happened.get("firing", 0), happened.get("resolved", 0)),
    ]
    troubles = sorted((key, state) for key, state in status.standing.states.items() if is_trouble(key.rule))
    firing = [(key, state) for key, state in troubles if state.phase == "firing"]
    lines.append(words.digest_firing if firing else words.digest_quiet)
    for number, (key, state) in enumerate(firing):
        since = words.since.format(format_time(state.since, style.zone))
        line = f"{key.rule}{words.colon}{key.peer}. {since}"
        more = words.more.format(len(firing) - number)
        if not fits("\n".join([*lines, line, more]), style.limit):
            lines.append(more)
            break
        lines.append(line)
    return Letter(f"{words.digest_title}{words.colon}{style.fleet}", "\n".join(lines))

"""The daily summary: peers up, alerts firing, and events since the last one. Pure."""

from collections.abc import Mapping

from alerts.engine.peer_state import is_running, read_peer_state
from alerts.engine.status import Status
from alerts.messages.single import Message, Style, format_time
from alerts.rules import is_problem


def compose_digest(status: Status, counts: Mapping[str, int], style: Style) -> Message:
    """`counts` has the number of events since the last summary by kind."""
    words = style.words
    pages = [scrape.page for scrape in status.scrapes.values()]
    running = sum(is_running(read_peer_state(page)) for page in pages)
    lines = [
        words.digest_peers.format(running, len(pages)),
        words.digest_events.format(counts.get("firing", 0), counts.get("resolved", 0)),
    ]
    problems = sorted((key, state) for key, state in status.alert_states.states.items() if is_problem(key.rule))
    firing = [(key, state) for key, state in problems if state.phase == "firing"]
    lines.append(words.digest_firing if firing else words.digest_quiet)
    for number, (key, state) in enumerate(firing):
        since = words.since.format(format_time(state.since, style.zone, words))
        line = f"{key.rule}{words.colon}{key.peer}. {since}"
        more = words.more.format(len(firing) - number)
        if not style.fits("\n".join([*lines, line, more])):
            lines.append(more)
            break
        lines.append(line)
    return Message(style.shorten_title(f"{words.digest_title}{words.colon}{style.fleet}"), "\n".join(lines))

"""The daily summary: how many peers run, what fires, and what happened since the last one. Pure."""

from collections.abc import Mapping

from alerts.engine.peer_state import is_running, read_peer_state
from alerts.engine.status import Status
from alerts.messages.grouped import Letter
from alerts.messages.single import Style, fits, format_time
from alerts.rules import is_problem


def compose_digest(status: Status, happened: Mapping[str, int], style: Style) -> Letter:
    """`happened` counts the events by kind since the last summary."""
    words = style.words
    pages = [scrape.page for scrape in status.scrapes.values()]
    running = sum(is_running(read_peer_state(page)) for page in pages)
    lines = [
        words.digest_peers.format(running, len(pages)),
        words.digest_events.format(happened.get("firing", 0), happened.get("resolved", 0)),
    ]
    problems = sorted((key, state) for key, state in status.alert_states.states.items() if is_problem(key.rule))
    firing = [(key, state) for key, state in problems if state.phase == "firing"]
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

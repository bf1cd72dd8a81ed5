"""One structured line in the log for each transition: `event=NAME key=value …`, for people and for programs."""

import json
import logging
from typing import Any

log = logging.getLogger("trainer.events")


def record(event: str, **facts: Any) -> None:
    """Logs an event; a fact that is None is left out, text with spaces or quotes is written as JSON."""
    log.info(" ".join([f"event={event}", *(f"{name}={_text(v)}" for name, v in facts.items() if v is not None)]))


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    text = str(value)
    is_plain = text and text.isprintable() and not any(character in text for character in ' "=')
    return text if is_plain else json.dumps(text[:500])

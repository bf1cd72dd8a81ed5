"""Translatable sentences: a template and its values, in English until they are translated.

A rule calls `say("Memory {used:.2f} GiB.", used=1.5)`. The result is that English text and keeps its template and
values, so that `Words.translate` can render it in another language; the English template is the key of its translation.
"""

from collections.abc import Iterable, Mapping

from alerts.durations import describe_duration


class Seconds(float):
    """A duration among the values of a text."""

    def __format__(self, spec: str) -> str:
        return describe_duration(self)


class Text(str):
    """An English text with its template and values, or the sentences that it was joined from."""

    template: str
    values: Mapping[str, object]
    sentences: "tuple[Text, ...]" = ()


def say(template: str, /, **values: object) -> Text:
    """The template formatted with its values by str.format; a value may be a text itself."""
    text = Text(template.format(**values))
    text.template, text.values = template, values
    return text


def join(sentences: Iterable[Text | None]) -> Text:
    """The sentences joined by spaces; None is left out."""
    kept = tuple(sentence for sentence in sentences if sentence is not None)
    text = Text(" ".join(kept))
    text.template, text.values, text.sentences = "", {}, kept
    return text

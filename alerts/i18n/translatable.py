"""Sentences that can be said in every language: a template and its values, worded in English until they are translated.

A rule says `say("It uses {used:.2f} GiB.", used=1.5)`. The result is that English text, and still knows how it was
made, so that a `Words` can say it otherwise; the template is the name under which a language keeps its own.
"""

from collections.abc import Iterable, Mapping

from alerts.durations import describe_duration


class Seconds(float):
    """A duration among the values of a text."""

    def __format__(self, spec: str) -> str:
        return describe_duration(self)


class Text(str):
    """An English text that knows its template and values, or the sentences that it was joined from."""

    template: str
    values: Mapping[str, object]
    sentences: "tuple[Text, ...]" = ()


def say(template: str, /, **values: object) -> Text:
    """The template with its values, as str.format words them; a value may be a text itself."""
    text = Text(template.format(**values))
    text.template, text.values = template, values
    return text


def join(sentences: Iterable[Text | None]) -> Text:
    """Sentences in a row; None is left out."""
    said = tuple(sentence for sentence in sentences if sentence is not None)
    text = Text(" ".join(said))
    text.template, text.values, text.sentences = "", {}, said
    return text

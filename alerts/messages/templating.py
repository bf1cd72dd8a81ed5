"""Renders a message's title, plain text and HTML from Jinja2 templates: the package's own, or the user's.

A user's template runs in a sandbox and is tried on examples when it is loaded, so that a mistake in it is reported as a
configuration error, with its line. Where it still fails on a real message, the package's own is used.
"""

import functools
import logging
import traceback
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template, TemplateError, TemplateSyntaxError
from jinja2.loaders import ChoiceLoader, PrefixLoader
from jinja2.sandbox import ImmutableSandboxedEnvironment

from alerts.durations import describe_duration
from alerts.messages.content import AlertText, Content, EvidenceText, PeerList

FILES = ("title.txt", "body.txt", "body.html")
MAX_LENGTH = 60_000
_FOLDER = Path(__file__).parent / "templates"

log = logging.getLogger(__name__)


class Templates:
    """The templates of a route; those in `folder` replace the package's own of the same name."""

    def __init__(self, folder: Path | None = None) -> None:
        """Raises ValueError with the file, the line and the mistake."""
        self._own: dict[str, Template] = {}
        self._logged: set[str] = set()
        if folder is None:
            return
        if not folder.is_dir():
            raise ValueError(f"{folder} is not a folder; it must hold at least one of {', '.join(FILES)}")
        unknown = sorted(path.name for path in folder.iterdir() if path.is_file() and path.name not in FILES)
        environment = _make_environment(folder)
        for name in FILES:
            if (folder / name).exists():
                self._own[name] = _load(environment, folder, name)
        if not self._own:
            found = f"; found {unknown[0]}" if unknown else ""
            raise ValueError(f"{folder} holds none of {', '.join(FILES)}{found}")

    def render(self, name: str, content: Content) -> str:
        """The text of one of FILES, at most MAX_LENGTH long."""
        own = self._own.get(name)
        if own is not None:
            try:
                # Services refuse a message without text.
                return _render(own, content) or _render(_default(name), content)
            except Exception as error:  # noqa: BLE001  # A user's template may raise anything; the alert must go out.
                if name not in self._logged:
                    log.error("%s; using the default template", _describe(error, own.filename or name))
                self._logged.add(name)
        return _render(_default(name), content)


def _make_environment(folder: Path | None) -> Environment:
    default = FileSystemLoader(_FOLDER)
    own = [FileSystemLoader(folder)] if folder else []
    environment = ImmutableSandboxedEnvironment(
        # A user's template may say {% include "default/body.txt" %}.
        loader=ChoiceLoader([*own, PrefixLoader({"default": default}), default]),
        autoescape=lambda name: bool(name) and str(name).endswith(".html"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["duration"] = describe_duration
    return environment


@functools.cache
def _default(name: str) -> Template:
    """The package's own; compiled once a message needs it, as most of who reads a configuration sends none."""
    return _make_environment(None).get_template(name)


def _load(environment: Environment, folder: Path, name: str) -> Template:
    try:
        template = environment.get_template(name)
        for example in _EXAMPLES:
            _render(template, example)
    except Exception as error:  # noqa: BLE001  # As above: the user has to fix the template.
        raise ValueError(_describe(error, str(folder / name))) from None
    return template


def _render(template: Template, content: Content) -> str:
    text, length = [], 0
    for piece in template.generate(**vars(content)):
        text.append(piece)
        length += len(piece)
        if length > MAX_LENGTH:
            break
    return "".join(text)[:MAX_LENGTH].strip()


def _describe(error: Exception, path: str) -> str:
    """The file, the line if known, and the mistake, on one line."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == path]
    line = error.lineno if isinstance(error, TemplateSyntaxError) else (lines[-1] if lines else None)
    reason = error.message if isinstance(error, TemplateError) and error.message else f"{type(error).__name__}: {error}"
    return f"{path}{f':{line}' if line else ''}: {' '.join(str(reason).split())[:300]}"


_FIRING = AlertText("PeerDown", "a", "firing", "critical", "Gone.", 60.0, 0.0, "", "Since then.", "PeerDown: a. Gone.")
_RESOLVED = AlertText("PeerDown", "b", "resolved", "critical", "", 60.0, 0.0, "Resolved: ", "Lasted.", "Resolved.")
_EXAMPLES = (
    Content(
        "PeerDown: a", "demo", (_FIRING,), frame="Fleet demo", remedies=("x",), evidence=(EvidenceText("", "| x"),)
    ),
    Content(
        "2 alerts", "demo", (_FIRING, _RESOLVED), headline="Quiet hours", evidence=(EvidenceText("PeerDown: a", "| x"),)
    ),
    Content(
        "30 alerts", "demo", (_FIRING,) * 30, sections=(PeerList("PeerDown", "a to z"),), more="more", part=1, parts=2
    ),
)

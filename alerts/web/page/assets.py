"""The page's files: style sheet, script, icons. Their URLs hold their digests, so that browsers cache them."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

_FOLDER = Path(__file__).parent
_TYPES = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
# The URL changes with the content.
_CACHE = "public, max-age=31536000, immutable"


@dataclass(frozen=True)
class Asset:
    """One file with the digest of its content."""

    name: str
    content: bytes
    digest: str

    @property
    def address(self) -> str:
        return f"/{self.name}?{self.digest}"

    async def serve(self, request: Request) -> Response:
        headers = {"ETag": f'"{self.digest}"', "Cache-Control": _CACHE, "X-Content-Type-Options": "nosniff"}
        if self.digest in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return Response(self.content, media_type=_TYPES[self.name.rpartition(".")[2]], headers=headers)


def _read(name: str) -> Asset:
    content = (_FOLDER / name).read_bytes()
    return Asset(name, content, hashlib.sha256(content).hexdigest()[:16])


_NAMES = ("page.css", "peer.css", "update.js", "acts.js", "page.js", "peer.js", "icon.svg", "alarm.svg")
ASSETS = {name: _read(name) for name in _NAMES}
# A page with another edition reloads itself.
EDITION = hashlib.sha256("".join(asset.digest for asset in ASSETS.values()).encode()).hexdigest()[:16]

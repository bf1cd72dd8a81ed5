"""A fleet that does not train but looks as if it did: sidecars that serve what a peer would, and a board."""

import json
import math
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.alerts.conftest import Sidecar, sidecar_page
from tests.fakes import LOOPBACK

NAMES = ("amber", "basalt", "cedar", "dune", "ember", "fjord")


def peer_page(index: int, **changes: float | str | None) -> str:
    """The page of peer `index` at this moment, with a pace, a reward and a rank of its own."""
    now = time.time()
    wave = math.sin(now / 300 + index)
    usual: dict[str, float | str | None] = {
        "footprint": (1.1 + 0.35 * index + 0.05 * wave) * 2**30,
        "rank": 2 + 3 * index,
        "ranked": 24,
        "cumulative": 900.0 - 40 * index,
        "nickname": f"quick {NAMES[index % len(NAMES)]} fox",
    }
    page = sidecar_page(now, **{**usual, **changes}).replace('peer_id="QmA"', f'peer_id="Qm{index}"')
    more = [
        f"trainer_steps_per_second {0.8 + 0.1 * index + 0.05 * wave}",
        f"trainer_reward_mean {0.5 + 0.02 * index + 0.01 * wave}",
        "swarm_round 41",
        "swarm_stage 1",
    ]
    return page + "\n".join(more) + "\n"


def make_peer(index: int, **changes: float | str | None) -> Sidecar:
    return Sidecar(lambda: peer_page(index, **changes))


class Board:
    """A real leaderboard's answer with 24 peers, ours among them."""

    def __init__(self) -> None:
        leaders = [
            {"id": f"Other{n}", "nickname": f"stranger {n}", "cumulativeScore": 980.0 - 14 * n, "lastScore": 31.0 - n}
            for n in range(24)
        ]
        for index in range(len(NAMES)):
            leaders[1 + 3 * index] |= {"id": f"Qm{index}", "nickname": NAMES[index]}
        self.content = json.dumps({"leaders": leaders, "total": 24}).encode()
        board = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Length", str(len(board.content)))
                self.end_headers()
                self.wfile.write(board.content)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer((LOOPBACK, 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self._server.server_address[1]}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

"""A fleet that does not train: sidecars that serve what a peer's would, and a board."""

import json
import math
import random
import threading
import time
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from alerts.engine.evaluate import AlertStates
from alerts.history.folding import Folder
from alerts.history.recorder import Recorder
from alerts.history.samples import HistorySample
from alerts.history.settings import HistorySettings
from alerts.history.store import Store
from alerts.rules import View
from alerts.scraping.page import parse
from tests.alerts.conftest import Sidecar, sidecar_page
from tests.fakes import LOOPBACK

# When its peers began to train, as their totals say.
SINCE = 1_760_000_000.0
NAMES = ("amber", "basalt", "cedar", "dune", "ember", "fjord")


def peer_page(index: int, at: float | None = None, **changes: float | str | None) -> str:
    """The page of peer `index` at a moment, by default now, with a pace, a reward and a rank of its own."""
    now = time.time() if at is None else at
    noise = random.Random(index * 10**10 + int(now / 60)).gauss(0, 1)
    wave = math.sin(now / 5000 + index)
    usual: dict[str, float | str | None] = {
        "footprint": (1.1 + 0.35 * index + 0.2 * (now % 40_000) / 40_000 + 0.01 * noise) * 2**30,
        "rank": 2 + 3 * index + round(1.2 * math.sin(now / 11_000 + 2 * index)),
        "ranked": 24,
        "cumulative": 900.0 - 40 * index,
        "started": SINCE + (now - SINCE) // 40_000 * 40_000,
        "nickname": f"quick {NAMES[index % len(NAMES)]} fox",
    }
    page = sidecar_page(now, **{**usual, **changes}).replace('peer_id="QmA"', f'peer_id="Qm{index}"')
    runs = (now - SINCE) % 40_000
    page = page.replace("trainer_steps_total 12", f"trainer_steps_total {int(runs)}")
    more = [
        f"trainer_steps_per_second {0.8 + 0.1 * index + 0.05 * wave + 0.02 * noise}",
        f"trainer_reward_mean {0.5 + 0.02 * index + 0.05 * math.sin(now / 20_000) + 0.008 * noise}",
        f"trainer_reward_std {0.2 + 0.01 * noise}",
        f"trainer_entropy {1.5 + 0.2 * wave}",
        f"trainer_completion_tokens {180 + 20 * wave}",
        f"trainer_cpu_seconds_total {1.7 * runs}",
        *(
            f'trainer_phase_seconds_total{{trainer_state="{phase}"}} {share * (now - SINCE + 2000 * wave)}'
            for phase, share in (("generating", 0.6), ("training", 0.3), ("waiting", 0.1))
        ),
        f'trainer_phase_seconds_total{{trainer_state="saving"}} {10 * ((now - SINCE) // 7200)}',
        "swarm_round 41",
        "swarm_stage 1",
    ]
    return page + "\n".join(more) + "\n"


# Evaluations that a recorder can hold in memory.
BATCH = 40


def fill_history(state_dir: Path, names: Sequence[str], *, hours: float, every: float, hours_ago: float = 0.0) -> None:
    """Records what a loop over these peers would have recorded up to so many hours ago."""
    state_dir.mkdir(parents=True, exist_ok=True)
    end = time.time() - hours_ago * 3600
    times = [end - hours * 3600 + number * every for number in range(int(hours * 3600 / every))]
    # A recorder drops what it cannot write in time; closing it writes the rest.
    for first in range(0, len(times), BATCH):
        recorder = Recorder(state_dir, HistorySettings())
        recorder.start()
        for at in times[first : first + BATCH]:
            pages = [parse(peer_page(index, at)) for index in range(len(names))]
            samples = [HistorySample(View(name, at, page), every) for name, page in zip(names, pages, strict=True)]
            recorder.record(samples, AlertStates())
        recorder.close()
    store = Store(recorder.path)
    Folder(store, HistorySettings()).work(time.time())
    store.close()


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

"""One fleet of three real peers is watched, and each of its problems arrives by mail and by webhook."""

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from alerts.rules import discover
from exporter.system.host import PRESSURE_FILE
from fleet.configuration.source import load_usable
from fleet.doctor.checks import discover as discover_checks
from fleet.doctor.examination import examine
from fleet.doctor.findings import Level
from fleet.doctor.site import Site
from grafana.series import peer_series, service_series
from tests.browser import open_browser, open_page
from tests.e2e.conftest import Fleet, Peer, count
from tests.e2e.prometheus import Prometheus
from tests.fakes import get
from tests.grafana.queries import PanelQuery, names_in, queries
from tests.programs import require

pytestmark = pytest.mark.e2e


QUERIES = queries()


@pytest.fixture(scope="module")
def fleet(make_fleet: Callable[..., Fleet]) -> Fleet:
    require("prometheus")
    fleet = make_fleet(["amber", "basalt", "cobalt"], options=("--with-prometheus",), ending=signal.SIGTERM)
    fleet.wait_until_all_train()
    return fleet


@pytest.fixture(autouse=True)
def quiet(fleet: Fleet) -> None:
    fleet.wait_until_quiet()


def test_ranks_steps_and_rewards_agree_everywhere(fleet: Fleet) -> None:
    fleet.wait(lambda: all((peer.value("swarm_round") or 0) >= 2 for peer in fleet.peers), 60, "two rounds are done")

    def ranks() -> dict[str, float | None]:
        return {peer.name: peer.value("swarm_rank") for peer in fleet.peers}

    def board() -> dict[str, float]:
        leaders = get(f"{fleet.leaderboard_url}/api/leaderboard-cumulative").json()["leaders"]
        return {leader["nickname"]: place for place, leader in enumerate(leaders, start=1)}

    def sidecars_and_board_agree() -> bool:
        return sorted(ranks().values()) == [1, 2, 3] and ranks() == board()

    fleet.wait(sidecars_and_board_agree, 60, "ranks 1, 2 and 3 on the sidecars, and the same on the board")
    for peer in fleet.peers:
        _steps_and_rewards_agree_with_the_log(fleet, peer)


def _steps_and_rewards_agree_with_the_log(fleet: Fleet, peer: Peer) -> None:
    """Freezes the peer, so that its log, its sidecar and the board can be compared."""
    process = peer.process()
    process.suspend()
    try:
        steps = peer.steps_logged()
        time.sleep(2)  # the sidecar collects once a second
        shown, reward = peer.value("trainer_steps_total"), peer.value("trainer_reward_mean")
        assert shown is not None
        assert reward is not None
        # trainer.prom is written once a second, so a frozen trainer's file may lack its last steps.
        assert len(steps) - 60 < shown <= len(steps)
        assert min(abs(reward - step.reward) for step in steps[int(shown) - 2 : int(shown) + 1]) < 1e-3
        sums = {(step.round, step.stage): step.stage_reward for step in steps}
        published = sum(sums.values())
        leaders = get(f"{fleet.leaderboard_url}/api/leaderboard-cumulative").json()["leaders"]
        credited = next(one["cumulativeScore"] for one in leaders if one["nickname"] == peer.name)
        # The stage that runs is published every second or so, and a stage may end between two reads of the board.
        assert published - 2 * max(sums.values()) <= credited <= published + 1e-3
    finally:
        process.resume()


def test_every_page_passes_promtool(fleet: Fleet) -> None:
    promtool = require("promtool")
    pages = [peer.page() for peer in fleet.peers]
    pages += [get(f"{url}/metrics").text for url in (fleet.leaderboard_url, fleet.alerts_url)]
    for page in pages:
        result = subprocess.run([promtool, "check", "metrics"], input=page, capture_output=True, text=True, check=False)
        assert (result.returncode, result.stderr) == (0, "")


def test_the_doctor_names_a_page_that_hangs(fleet: Fleet) -> None:
    command = [sys.executable, "-m", "fleet", "doctor", "-f", str(fleet.config), "--json", "--test-routes"]
    command += ["--time-server", "127.0.0.1:9"]
    fleet.config.chmod(0o600)  # it holds the routes' addresses
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    well: dict[str, list[tuple[str, str]]] = {}
    for one in json.loads(done.stdout)["findings"]:
        well.setdefault(one["check"], []).append((one["level"], one["message"]))
    assert well["processes"] == [("ok", "3 sidecars, the leaderboard and the alert loop answer")]
    assert well["dht"] == [("ok", "3 peers answer in the fleet's own swarm")]
    assert [level for level, _ in well["routes"]] == ["ok", "ok"]
    failures = [(check, message) for check in well for level, message in well[check] if level == "failure"]
    # Trainers of other tests run beside this fleet, and the doctor looks at those, too.
    others = ("crashes", "identities", "wandb")
    ours = [one for one in failures if one[0] not in others or any(peer.name in one[1] for peer in fleet.peers)]
    assert ours == []
    # There is no time server to compare the clock with.
    assert [level for level, _ in well["clock"]] == ["warning"]
    assert done.returncode == (1 if failures else 3)
    leaderboard = fleet.service("exporter.leaderboard")
    leaderboard.suspend()
    try:
        # The one check that is about it, as all of them take as long as a trainer's start.
        site = Site(load_usable(fleet.config, None), time_server="127.0.0.1:9", tests_routes=False)
        ((_, finding),) = examine(site, {"processes": discover_checks()["processes"]})
    finally:
        leaderboard.resume()
    assert finding.level == Level.FAILURE
    assert "the leaderboard does not answer" in finding.message


def test_a_stopped_trainer_is_reported_and_turns_the_page_red_until_it_goes_on(fleet: Fleet) -> None:
    """By mail and by webhook, as stalled and as resolved; on the page without a reload."""
    stopped, other = fleet.peers[0], fleet.peers[2]
    with open_browser() as browser, open_page(browser, fleet.alerts_url) as page:
        rows = {peer.name: page.locator(".peers").get_by_role("row", name=peer.name) for peer in fleet.peers}
        for row in rows.values():
            expect(row).to_contain_text("of 2.0 GiB")
            expect(row).to_contain_text("of 3")
            expect(row).to_have_class(re.compile("mood-(good|calm)"))
        expect(page.locator("#board").get_by_text("ours")).to_have_count(3)
        page.evaluate("window.hasStayed = true")
        with stopped.stopped():
            fleet.wait(lambda: fleet.arrived("PeerStalled", stopped.name), 60, "PeerStalled by mail and webhook")
            assert not any(message.says("PeerDown", stopped.name) for message in fleet.webhook.messages)
            expect(rows[stopped.name]).to_have_class("mood-bad", timeout=240_000)
            alert = page.get_by_role("article", name=f"PeerStalled: {stopped.name}")
            alert.get_by_role("button", name="Acknowledge").click()
            expect(alert).to_contain_text("acknowledged")
            expect(rows[other.name]).not_to_have_class("mood-bad")
        fleet.wait(lambda: fleet.arrived("PeerStalled", stopped.name, "esolved"), 60, "the resolution by both")
        expect(rows[stopped.name]).to_have_class(re.compile("mood-(good|calm)"), timeout=240_000)
        expect(alert).to_have_count(0, timeout=120_000)
        assert page.evaluate("window.hasStayed")


def test_a_killed_leader_is_reported_as_down_and_leads_again(fleet: Fleet) -> None:
    leader = fleet.peers[0]
    killed = leader.process()
    family = killed.children(recursive=True)
    rounds = {peer.name: peer.value("swarm_round") or 0 for peer in fleet.peers}
    killed.kill()
    fleet.wait(lambda: fleet.arrived("PeerDown", leader.name), 60, "PeerDown by mail and webhook")
    fleet.wait(lambda: fleet.arrived("PeerDown", leader.name, "esolved"), 60, "its resolution by mail and webhook")
    assert leader.process().pid != killed.pid
    assert not [child for child in family if child.is_running()]
    fleet.wait(
        lambda: all((peer.value("swarm_round") or 0) > rounds[peer.name] + 1 for peer in fleet.peers),
        60,
        "all peers are in a round that the leader opened since",
    )


def test_memory_beyond_the_limit_is_reported(fleet: Fleet) -> None:
    peer = fleet.peers[2]
    limit = peer.value("trainer_memory_limit_bytes")
    assert limit == 2 * 2**30
    (peer.reward_folder / "hoard").write_text("2100")
    fleet.wait(lambda: fleet.arrived("MemoryExceeded", peer.name), 60, "MemoryExceeded by mail and webhook")
    fleet.wait(lambda: (peer.value("trainer_memory_bytes", kind="footprint") or 0) > limit, 60, "the limit is passed")
    (peer.reward_folder / "hoard").unlink()
    fleet.wait(lambda: fleet.arrived("MemoryExceeded", peer.name, "esolved"), 60, "its resolution")


def test_alerts_survive_a_kill_of_the_loop_while_mail_is_down(fleet: Fleet) -> None:
    peer = fleet.peers[0]
    before_mail, before_hook = len(fleet.mailbox.messages), len(fleet.webhook.messages)
    fleet.mailbox.stop()
    with peer.stopped():
        fleet.wait(lambda: ("PeerStalled", peer.name) in fleet.firing(), 60, "PeerStalled fires")
        assert not [one for one in fleet.mailbox.messages[before_mail:] if one.says("PeerStalled", peer.name)]
        fleet.service("alerts").kill()
    fleet.wait(lambda: fleet.status() and ("PeerStalled", peer.name) not in fleet.firing(), 60, "the loop is restarted")
    fleet.mailbox.start()

    def all_delivered() -> bool:
        return all(
            count(messages, "PeerStalled", peer.name) >= 2
            for messages in (fleet.mailbox.messages[before_mail:], fleet.webhook.messages[before_hook:])
        )

    fleet.wait(all_delivered, 60, "firing and resolution by mail and webhook")
    assert count(fleet.mailbox.messages[before_mail:], "PeerStalled", peer.name) == 2
    # The webhook was up: only its delivery can have been in flight when the kill came.
    assert count(fleet.webhook.messages[before_hook:], "PeerStalled", peer.name) <= 3
    titles = [one.title for one in fleet.mailbox.messages[before_mail:] if one.says("PeerStalled", peer.name)]
    assert "esolved" not in titles[0]
    assert "esolved" in titles[1]


# What this machine or this model does not have: the reason why a panel stays empty.
EMPTY_BY_DESIGN = {
    "fleet: Memory pressure (macOS)": "macOS alone reports a level",
}
SOURCES_OF_ALL = ("swarm_source_up", "swarm_source_success_timestamp_seconds")
NO_SERIES_HERE = {
    "host_memory_pressure_level": "macOS alone reports a level",
    "trainer_kl": "GRPO runs without a reference model unless its beta is set",
    "trainer_sampling_mismatch": "nothing but the trainer itself generates",
    "trainer_accelerator_memory_bytes": "the trainers run on the processor",
    **{name: "no accelerator" for name in peer_series() if name.startswith("accelerator_")},
    "alerts_restart_phase": "this fleet's alert loop restarts no peer",
    "alerts_pushes_total": "no machine elsewhere pushes to this fleet",
    **dict.fromkeys(
        (
            "trainer_progress_readers",
            "trainer_progress_up",
            "trainer_progress_timestamp_seconds",
            "trainer_progress_step",
            "trainer_progress_steps_per_report",
            "trainer_inference_requests",
            "trainer_progress_unit",
            "trainer_expected_steps",
        ),
        "our trainers report their progress themselves",
    ),
    **dict.fromkeys(
        (
            "swarm_round_change_timestamp_seconds",
            "swarm_submit_period_seconds",
            *(name for name in peer_series() if name.startswith("swarm_source_") and name not in SOURCES_OF_ALL),
        ),
        "this fleet reads no sources but its own board",
    ),
    **dict.fromkeys(
        ("trainer_exit_code", "trainer_end_timestamp_seconds"), "a service manager starts the trainers of this fleet"
    ),
}
# One of these was killed before, in another test; a container has a limit; a streak may last, and a known problem.
MAY_BE_EMPTY = frozenset(
    {
        *("trainer_oom_killed", "host_memory_limit_bytes", "trainer_streak_start_timestamp_seconds"),
        *(name for name in peer_series() if name.startswith("trainer_known_problem_")),
    }
)
# In a container, the kernel's pressure stall information may be unavailable.
if not PRESSURE_FILE.exists():
    EMPTY_BY_DESIGN["fleet: Waiting for memory (Linux)"] = "this kernel reports no pressure"
    NO_SERIES_HERE["host_memory_pressure_ratio"] = "this kernel reports no pressure"


def is_empty_by_design(asked: PanelQuery) -> bool:
    return asked.title in EMPTY_BY_DESIGN or bool(names_in(asked.expression) & set(NO_SERIES_HERE))


@pytest.fixture(scope="module")
def prometheus(fleet: Fleet) -> Prometheus:
    return Prometheus(fleet.prometheus_url, since=time.time() - 600)


def test_prometheus_finds_every_sidecar_and_service(fleet: Fleet, prometheus: Prometheus) -> None:
    names = {"amber", "basalt", "cobalt", "alerts", "leaderboard"}
    fleet.wait(lambda: prometheus.targets() == dict.fromkeys(names, "up"), 30, "every target is up")


def test_every_panel_shows_something_while_an_alert_fires(fleet: Fleet, prometheus: Prometheus) -> None:
    peer = fleet.peers[0]
    fleet.wait(lambda: (peer.value("trainer_steps_total") or 0) >= 10, 60, "its pace is known")
    with peer.stopped():
        firing = PanelQuery("", "", f'ALERTS{{alertname="PeerStalled",alertstate="firing",peer="{peer.name}"}}', True)
        fleet.wait(lambda: prometheus.has_data(firing), 60, "PeerStalled fires in Prometheus too")
        fleet.wait(lambda: ("PeerStalled", peer.name) in fleet.firing(), 60, "and in the alert loop")

        always = [asked for asked in QUERIES if not names_in(asked.expression) & MAY_BE_EMPTY]

        def empty() -> list[str]:
            return [asked.title for asked in always if not prometheus.has_data(asked)]

        expected = sorted(asked.title for asked in always if is_empty_by_design(asked))
        fleet.wait(lambda: sorted(empty()) == expected, 40, f"nothing but {expected} is empty: {sorted(empty())}")


def test_no_panel_asks_for_more_than_it_needs(prometheus: Prometheus) -> None:
    """A sample for each series, and for a rate the few of its range; the forecast and the past read more."""
    heavy = {asked.title: prometheus.samples_read(asked.expression) for asked in QUERIES}
    scrapes_of_an_hour = 3600 // 2
    for title, samples in heavy.items():
        reads_the_past = title == "peer: Memory by kind" or title.endswith(" against its past")
        assert samples <= (3 * scrapes_of_an_hour if reads_the_past else 300), (title, samples)


def test_every_rule_is_evaluated_over_series_that_are_there(prometheus: Prometheus) -> None:
    rules = prometheus.rules()
    assert {rule["name"] for rule in rules} == {name for name, rule in discover().items() if rule.settings().enabled}
    known = {*peer_series(), *service_series(), "up"}
    for rule in rules:
        assert (rule["health"], rule.get("lastError", "")) == ("ok", "")
        for name in set(re.findall(r"[a-z_]+", rule["query"])) & known - set(NO_SERIES_HERE) - MAY_BE_EMPTY:
            assert prometheus.has_series(name), (rule["name"], name)

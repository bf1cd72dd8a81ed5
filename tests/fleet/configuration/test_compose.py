"""Each process gets its own configuration, made from the file's sections."""

from collections.abc import Callable
from pathlib import Path

import pytest

from fleet.configuration.load import Loaded

LEADER = "Qm" + "1" * 44


def test_the_first_peer_of_an_own_swarm_leads_and_each_has_the_others_addresses(load: Callable[[str], Loaded]) -> None:
    trainers = load("fleet: amber\npeers: 3\nports: {trainer: 40000}\n").composition.trainers
    assert list(trainers) == ["amber-0", "amber-1", "amber-2"]
    assert [trainer.swarm.leader for trainer in trainers.values()] == [True, False, False]
    assert [trainer.swarm.port for trainer in trainers.values()] == [40000, 40001, 40002]
    addresses = [f"/ip4/127.0.0.1/tcp/{port}/p2p/{LEADER}" for port in (40000, 40001, 40002)]
    assert trainers["amber-0"].swarm.initial_peers == addresses[1:]
    assert trainers["amber-2"].swarm.initial_peers == addresses[:2]


def test_no_peer_leads_a_swarm_that_it_joins(load: Callable[[str], Loaded]) -> None:
    address = f"/ip4/203.0.113.7/tcp/1/p2p/{LEADER}"
    composition = load(f"fleet: a\npeers: 2\nswarm: {{initial_peers: [{address}]}}\n").composition
    for trainer in composition.trainers.values():
        assert (trainer.swarm.leader, trainer.swarm.initial_peers) == (False, [address])
    assert composition.leaderboard is not None
    assert address in composition.leaderboard.initial_peers


def test_an_own_swarm_is_signed_and_led_by_its_own_peers(load: Callable[[str], Loaded]) -> None:
    other = "Qm" + "2" * 44
    composition = load(f"fleet: a\npeers: 2\nswarm: {{members: [{other}]}}\n").composition
    board = composition.leaderboard
    assert board is not None
    for one in (board, *(trainer.swarm for trainer in composition.trainers.values())):
        assert (one.signed, one.leaders, one.members) == (True, [LEADER, LEADER], [LEADER, LEADER, other])


def test_a_swarm_that_others_began_is_open_unless_it_is_said_who_leads(load: Callable[[str], Loaded]) -> None:
    joined = f"initial_peers: [/ip4/203.0.113.7/tcp/1/p2p/{LEADER}]"
    trainer = load(f"fleet: a\nswarm: {{{joined}}}\n").composition.trainers["a-0"]
    assert (trainer.swarm.signed, trainer.swarm.leaders, trainer.swarm.members) == (False, [], [])
    trainer = load(f"fleet: a\nswarm: {{{joined}, signed: true, leaders: [{LEADER}]}}\n").composition.trainers["a-0"]
    assert (trainer.swarm.signed, trainer.swarm.leaders) == (True, [LEADER])
    problems = load(f"fleet: a\nswarm: {{{joined}, signed: true}}\n").problems
    assert any("name the peers that lead it" in problem.message for problem in problems)


def test_a_peer_overrides_single_settings_of_the_trainer(load: Callable[[str], Loaded]) -> None:
    text = """\
fleet: a
trainer:
  task: chain_sum
  task_options: {min_terms: 2}
  grpo: {beta: 0.1, num_generations: 4}
peers:
  - name: x
    grpo: {beta: 0.5}
  - name: y
    task: basic_arithmetic
    announce: [/ip4/203.0.113.7/tcp/5]
"""
    trainers = load(text).composition.trainers
    assert trainers["x"].grpo == {"beta": 0.5, "num_generations": 4}
    assert (trainers["x"].task, trainers["x"].task_options) == ("chain_sum", {"min_terms": 2})
    assert (trainers["y"].task, trainers["y"].task_options) == ("basic_arithmetic", {})
    assert trainers["y"].swarm.announce == ["/ip4/203.0.113.7/tcp/5"]


def test_the_alert_loop_gets_every_sidecar_and_the_leaderboard(load: Callable[[str], Loaded]) -> None:
    text = "fleet: a\npeers: 2\nhost: 0.0.0.0\nalerts: {interval: 1m, timeout: 2s, host: 127.0.0.1}\n"
    composition = load(text).composition
    alerts, trainers = composition.alerts, composition.trainers
    assert alerts is not None
    assert [(one.peer, one.url) for one in alerts.targets] == [
        ("a-0", "http://127.0.0.1:9700/metrics"),
        ("a-1", "http://127.0.0.1:9701/metrics"),
    ]
    assert [one.run_dir for one in alerts.targets] == [one.run_dir for one in trainers.values()]
    assert (alerts.interval, alerts.timeout) == (60, 2)
    assert (alerts.listen, alerts.leaderboard_url) == ("127.0.0.1:8750", "http://127.0.0.1:8700")


def test_a_page_that_others_reach_needs_a_login_and_a_certificate(load: Callable[[str], Loaded]) -> None:
    exposed = "fleet: a\nhost: 0.0.0.0\n"
    (problem,) = load(exposed).problems
    assert "on 0.0.0.0" in problem.message
    assert "set login and tls, or listen on 127.0.0.1" in problem.message
    login = "alerts:\n  login: {password: 'file:page.secret'}\n"
    (problem,) = load(exposed + login).problems
    assert "without tls" in problem.message
    loaded = load(exposed + login + "  tls: {certificate: page.pem, key: ~/page.key}\n")
    assert not loaded.problems
    alerts = loaded.composition.alerts
    assert alerts is not None
    assert alerts.login is not None
    assert alerts.login.password.get_secret_value() == f"file:{loaded.base / 'page.secret'}"
    assert alerts.tls is not None
    assert (alerts.listen, alerts.tls.certificate) == ("0.0.0.0:8750", loaded.base / "page.pem")
    assert alerts.tls.key == Path.home() / "page.key"


def test_a_page_cannot_listen_on_an_invalid_address(load: Callable[[str], Loaded]) -> None:
    (problem,) = load("fleet: a\nalerts: {host: here}\n").problems
    assert problem.location == ("alerts", "host")


def test_cores_are_divided_between_the_peers(load: Callable[[str], Loaded]) -> None:
    from fleet.configuration.peers import plan_peers

    config = load("fleet: a\npeers: 3\n").config
    assert config is not None
    assert {peer.threads for peer in plan_peers(config, cores=8)} == {2}
    assert {peer.threads for peer in plan_peers(config, cores=2)} == {1}


def test_templates_are_resolved_against_the_configurations_folder(
    load: Callable[[str], Loaded], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("common", "own"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "title.txt").write_text("{{ title }}")
    monkeypatch.chdir("/")
    routes = "routes: [{name: hook, url: 'json://h', templates: own}]"
    alerts = load(f"fleet: a\nalerts:\n  templates: common\n  {routes}\n").composition.alerts
    assert alerts is not None
    assert (alerts.templates, alerts.routes[0].templates) == (tmp_path / "common", tmp_path / "own")

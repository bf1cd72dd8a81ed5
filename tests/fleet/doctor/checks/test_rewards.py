"""The doctor answers for each peer: registered, under which account, where, does it count, and since when not."""

import time
from pathlib import Path

import pytest

from exporter.leaderboard.changes import Change
from exporter.sources import Standing, chain
from fleet.doctor.checks.rewards import judge
from fleet.doctor.findings import Level
from tests.exporter.identity.test_own_peer import write_key
from tests.fakes import reserve_ports
from tests.fleet.doctor.conftest import Examine, messages
from tests.fleet.rl_swarm.stand_in import make_checkout

NOW = 1_790_000_000.0
ALFA = "Qm" + "a" * 44
HOUR = 3600.0
ON_CHAIN = Standing(
    *(ALFA, NOW),
    contract="0.5",
    is_listed=True,
    reward=-4.0,
    wins=2,
    participation=9,
    account="0xab",
    account_peers=(ALFA, "b", "c"),
)
ABSENT = Standing(ALFA, NOW, contract="0.7", is_listed=False, reward=0.0)


def said(*standings: Standing, counting: tuple[str, ...] = ("0.5",), change: Change | None = None) -> dict[str, str]:
    found = {one.contract or "": one for one in standings}
    changes = {} if change is None else {"0.5": change}
    return {
        finding.level.describe(): f"{finding.message}; {finding.remedy}"
        for finding in judge("peer fox", counting, found, changes, NOW)
    }


def test_a_peer_that_counts_is_told_with_account_and_contract() -> None:
    change = Change(NOW - 30 * HOUR, -4.0, NOW - 2 * HOUR, 9.0, NOW - 60)
    assert said(ON_CHAIN, ABSENT, change=change) == {
        "ok": "peer fox: registered on contract 0.5 under 0xab with 2 other peers; "
        "reward -4, 2 wins, 9 rounds voted in; last credited 2 h ago; "
    }


def test_since_when_nothing_was_credited() -> None:
    since = time.strftime("%Y-%m-%d %H:%M", time.localtime(NOW - 7 * HOUR))
    seen = said(ON_CHAIN, change=Change(NOW - 30 * HOUR, -4.0, NOW - 7 * HOUR))
    assert seen["warning"].endswith(
        f"; nothing credited since {since}; search its login server's log (yarn.log) for failed submissions"
    )
    unseen = said(ON_CHAIN, change=Change(NOW - 7 * HOUR, -4.0, NOW - 7 * HOUR))
    assert f"nothing credited since {since}, when it was first read, or longer;" in unseen["warning"]
    assert list(said(ON_CHAIN, change=Change(NOW - 5 * HOUR, -4.0, NOW - 5 * HOUR))) == ["ok"]


def test_a_peer_on_an_old_contract_does_not_count() -> None:
    (failure,) = said(ON_CHAIN, ABSENT, counting=("0.7",)).items()
    assert failure[0] == "failure"
    assert failure[1].startswith(
        "peer fox is not registered on contract 0.7; it is on contract 0.5 under 0xab, which does not count "
    )


def test_a_peer_that_is_registered_nowhere() -> None:
    assert said(ABSENT, counting=("0.7",))["failure"].startswith("peer fox is not registered on contract 0.7; open ")


def test_a_peer_of_an_unknown_release_is_told_where_it_is() -> None:
    found = said(ON_CHAIN, ABSENT, counting=())
    assert found["ok"].startswith("peer fox: registered on contract 0.5 under 0xab")
    assert found["warning"].startswith("peer fox: whether these contracts count is not known; set `contract`")


def test_a_contract_that_does_not_answer_is_no_verdict() -> None:
    assert said(ON_CHAIN, counting=("0.6-prg",))["warning"].startswith("peer fox: contract 0.6-prg cannot be read")


def peer(tmp_path: Path, contract: str = "") -> str:
    return f"peers: [{{name: fox, kind: attached, find: {{folder: {tmp_path}}}, identity: swarm.pem{contract}}}]\n"


def test_without_a_contract_nothing_is_asked(examine: Examine, tmp_path: Path) -> None:
    found = examine("rewards", peer(tmp_path))
    assert [one.level for one in found] == [Level.OK]
    assert "set `contract` of a peer" in found[0].message


def test_the_contract_that_a_checkout_tells_is_asked_without_a_source(
    examine: Examine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_checkout(tmp_path / "rl-swarm", "0.7")
    write_key(tmp_path / "swarm.pem", "fox")
    monkeypatch.setattr(chain, "RPC_URL", f"http://127.0.0.1:{reserve_ports(1)[0]}/")
    found = examine("rewards", "peers: [{name: fox, kind: rl-swarm, folder: rl-swarm, identity: swarm.pem}]\n")
    assert messages(found, Level.WARNING).startswith("the chain cannot be read: http://127.0.0.1:")


def test_a_key_that_is_missing_and_a_chain_that_is_away_are_told(examine: Examine, tmp_path: Path) -> None:
    text = peer(tmp_path, ", contract: 0.7")
    text += f"sources: [{{kind: chain, rpc: ['http://127.0.0.1:{reserve_ports(1)[0]}/key-of-mine']}}]\n"
    said = messages(examine("rewards", text), Level.WARNING)
    assert (
        said
        == "peer fox: its peer id is not known: No such file or directory; set `identity` to its key file, swarm.pem"
    )
    write_key(tmp_path / "swarm.pem", "fox")
    said = messages(examine("rewards", text), Level.WARNING)
    assert said.startswith("the chain cannot be read: http://127.0.0.1:")
    assert "key-of-mine" not in said

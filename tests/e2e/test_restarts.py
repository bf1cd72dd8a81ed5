"""A peer that leaks is restarted once, with a message that says why and with what effect; then a person is called."""

from collections.abc import Callable

import psutil
import pytest

from tests.e2e.conftest import Fleet, count

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(420)]


def test_a_leaking_peer_is_restarted_once_and_its_sibling_never(make_fleet: Callable[..., Fleet]) -> None:
    alerts = {
        "rules": {
            "MemoryExceeded": {"for": "0s", "recover_after": "0s", "restart": True},
            "PeerDown": {"for": "0s", "recover_after": "0s"},
        },
        "restarts": {"wait_at_most": "20s"},
    }
    fleet = make_fleet(["amber", "basalt"], alerts=alerts)
    leaking, sibling = fleet.peers
    fleet.wait_until_all_train()
    first, other = leaking.process(), sibling.process()
    tree = [first, *first.children(recursive=True)]
    (leaking.reward_folder / "hoard").write_text("2100")
    kept = leaking.run_folder / "restart.log"
    fleet.wait(kept.exists, 90, "what the trainer did is kept")
    (leaking.reward_folder / "hoard").unlink()
    fleet.wait(lambda: count(fleet.webhook.messages, "PeerRestarted", leaking.name), 60, "the restart is told")

    told = next(message for message in fleet.webhook.messages if message.says("PeerRestarted", leaking.name))
    assert told.says("Restarted because of MemoryExceeded: Memory ", "of the limit of 2.00 GiB", "trainer.log ends:"), (
        told
    )
    fleet.wait(
        lambda: fleet.arrived("Resolved: PeerRestarted", leaking.name, "Training again", "memory from "),
        150,
        "the effect is told by mail and webhook",
    )
    second = leaking.process()
    assert second.pid != first.pid
    assert not [process for process in tree if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]
    assert kept.stat().st_mode & 0o777 == 0o600

    (leaking.reward_folder / "hoard").write_text("2100")
    fleet.wait(lambda: fleet.arrived("RestartUseless", leaking.name), 90, "a person is called")
    assert any(
        message.says("Not restarted for MemoryExceeded", "Restarted for the same reason")
        for message in fleet.webhook.messages
    )
    assert leaking.process() == second
    assert sibling.process() == other
    assert count(fleet.webhook.messages, "Restarted because of") == 1
    assert not count(fleet.webhook.messages, "PeerDown")

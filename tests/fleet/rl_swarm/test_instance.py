"""Instances of one checkout share its files and nothing that a trainer writes."""

from pathlib import Path

from fleet.rl_swarm.checkout import read_checkout
from fleet.rl_swarm.instance import prepare
from tests.fleet.rl_swarm.stand_in import make_checkout


def test_an_instance_is_a_checkout_with_logs_of_its_own(tmp_path: Path) -> None:
    checkout = make_checkout(tmp_path / "rl-swarm", "0.4")
    for name in ("logs", "wandb", "runs"):
        (checkout / name).mkdir()
    (checkout / "swarm.pem").write_text("key")
    one, two = tmp_path / "one", tmp_path / "two"
    prepare(checkout, one)
    prepare(checkout, two)
    found = read_checkout(one)
    assert found is not None
    assert found.version == "0.4"
    (one / "logs" / "swarm.log").write_text("of one")
    assert not (two / "logs" / "swarm.log").exists()
    assert not (checkout / "logs" / "swarm.log").exists()
    assert not any((one / name).exists() for name in ("wandb", "runs", "swarm.pem", ".git"))
    assert (one / "modal-login" / "temp-data").resolve() == (checkout / "modal-login" / "temp-data").resolve()


def test_it_follows_the_checkout_and_keeps_what_is_its_own(tmp_path: Path) -> None:
    checkout = make_checkout(tmp_path / "rl-swarm", "0.6")
    prepare(checkout, tmp_path / "one")
    (tmp_path / "one" / "wandb").mkdir()
    (checkout / "README.md").unlink()
    (checkout / "new.txt").touch()
    prepare(checkout, tmp_path / "one")
    assert {path.name for path in (tmp_path / "one").iterdir()} == {
        *("logs", "wandb", "new.txt", "rgym_exp", "modal-login", "run_rl_swarm.sh"),
    }

"""A checkout tells its release, how its trainer is started, and the contract that it counts on."""

import shutil
from pathlib import Path

import pytest

from fleet.rl_swarm.checkout import Start, find_python, make_command, make_environment, read_checkout
from tests.fleet.rl_swarm.stand_in import CONFIGS, CONTRACTS, DAPO_CONTRACT, LAUNCHERS, make_checkout, tag_checkout

IDENTITY = Path("/keys/one.pem")


def start(config: Path, **values) -> Start:
    return Start("/venv/bin/python", IDENTITY, "org", "0xabc", config, **values)


@pytest.mark.parametrize(
    ("version", "log"),
    [
        ("0.4", "logs/swarm.log"),
        ("0.5", "logs/training_*.log"),
        ("0.6", "logs/swarm_launcher.log"),
        ("0.7", "logs/swarm_launcher.log"),
    ],
)
def test_each_release_is_known_by_its_files(version: str, log: str, tmp_path: Path) -> None:
    checkout = read_checkout(make_checkout(tmp_path, version))
    assert checkout is not None
    assert (checkout.version, checkout.log) == (version, log)
    assert checkout.config == tmp_path / CONFIGS[version]
    assert checkout.contract() == CONTRACTS[version]


def test_the_tag_that_is_checked_out_is_the_version(tmp_path: Path) -> None:
    make_checkout(tmp_path, "0.6")
    tag_checkout(tmp_path, "v0.6.4")
    checkout = read_checkout(tmp_path)
    assert checkout is not None
    assert checkout.version == "0.6.4"


def test_a_tag_of_another_release_is_the_forks_own(tmp_path: Path) -> None:
    make_checkout(tmp_path, "0.7")
    tag_checkout(tmp_path, "v2.1")
    checkout = read_checkout(tmp_path)
    assert checkout is not None
    assert checkout.version == "0.7"


def test_a_branch_and_a_worktree_are_followed_to_their_commit(tmp_path: Path) -> None:
    main = make_checkout(tmp_path / "main", "0.4")
    tag_checkout(main, "v0.4.3")
    commit = (main / ".git" / "HEAD").read_text()
    (main / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    (main / ".git" / "refs" / "heads").mkdir(parents=True)
    (main / ".git" / "refs" / "heads" / "main").write_text(commit)
    worktree = make_checkout(tmp_path / "other", "0.4")
    private = main / ".git" / "worktrees" / "other"
    private.mkdir(parents=True)
    (private / "HEAD").write_text(commit)
    (private / "commondir").write_text("../..\n")
    (worktree / ".git").write_text(f"gitdir: {private}\n")
    for folder in (main, worktree):
        checkout = read_checkout(folder)
        assert checkout is not None
        assert checkout.version == "0.4.3"


def test_what_is_no_checkout_is_none(tmp_path: Path) -> None:
    assert read_checkout(tmp_path) is None
    assert read_checkout(tmp_path / "missing") is None


def test_a_fork_is_what_its_script_says(tmp_path: Path) -> None:
    make_checkout(tmp_path, "0.7")
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "mine.yaml").write_text("training: {}\n")
    (tmp_path / "run_rl_swarm.sh").write_text(
        'export SWARM_CONTRACT="0x1111111111111111111111111111111111111111"\n'
        'python -m x --config-path "$ROOT/configs" --config-name "mine.yaml"\n'
    )
    checkout = read_checkout(tmp_path)
    assert checkout is not None
    assert checkout.config == tmp_path / "configs" / "mine.yaml"
    assert checkout.contract() == "0x1111111111111111111111111111111111111111"


def test_stages_are_started_with_arguments(tmp_path: Path) -> None:
    checkout = read_checkout(make_checkout(tmp_path, "0.4"))
    assert checkout is not None
    command = make_command(checkout, start(tmp_path / "c.yaml", game="dapo"))
    assert command[:3] == ["/venv/bin/python", "-m", "hivemind_exp.gsm8k.train_single_gpu"]
    given = dict(zip(command[3::2], command[4::2], strict=True))
    assert given == {
        "--hf_token": "None",
        "--identity_path": "/keys/one.pem",
        "--modal_org_id": "org",
        "--contract_address": "0xabc",
        "--config": f"{tmp_path}/c.yaml",
        "--game": "dapo",
    }
    assert checkout.contract("dapo") == DAPO_CONTRACT


@pytest.mark.parametrize("version", ["0.5", "0.6", "0.7"])
def test_rounds_are_started_with_variables(version: str, tmp_path: Path) -> None:
    checkout = read_checkout(make_checkout(tmp_path, version))
    assert checkout is not None
    assert checkout.config is not None
    given = start(checkout.config, login_port=3001, model="Qwen/Qwen3-0.6B", arguments=["training.seed=7"])
    module = LAUNCHERS[version].removesuffix(".py").replace("/", ".")
    assert make_command(checkout, given) == [
        *("/venv/bin/python", "-m", module),
        *("--config-path", str(checkout.config.parent), "--config-name", checkout.config.name),
        *("blockchain.modal_proxy_url=http://localhost:3001/api/", "training.seed=7"),
    ]
    found = make_environment(given, Path("/instances/one"))
    assert found["ROOT"] == "/instances/one"
    assert (found["IDENTITY_PATH"], found["ORG_ID"], found["SWARM_CONTRACT"]) == ("/keys/one.pem", "org", "0xabc")
    assert (found["WANDB_MODE"], found["MODEL_NAME"]) == ("offline", "Qwen/Qwen3-0.6B")
    assert "MODEL_NAME" not in make_environment(start(checkout.config), Path("/x"))


def test_the_early_launcher_is_started_as_a_file(tmp_path: Path) -> None:
    launcher = tmp_path / "genrl-swarm" / "src" / "genrl_swarm" / "runner" / "swarm_launcher.py"
    launcher.parent.mkdir(parents=True)
    launcher.touch()
    checkout = read_checkout(tmp_path)
    assert checkout is not None
    assert (checkout.version, checkout.log, checkout.config) == ("0.5", None, None)
    command = make_command(checkout, start(tmp_path / "configs" / "rg-swarm.yaml"))
    assert command[1] == "genrl-swarm/src/genrl_swarm/runner/swarm_launcher.py"


def test_the_checkouts_own_interpreter_goes_before(tmp_path: Path) -> None:
    assert find_python(tmp_path) == shutil.which("python3")
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / "bin" / "python").touch()
    assert find_python(tmp_path) == f"{tmp_path}/.venv/bin/python"

"""Which trainers are found in recorded process trees, where each is read, and how it is found again."""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from fleet.attach.candidates import Candidate, find_candidates, make_pattern
from fleet.attach.entry import add_peers, describe_peer, new_file
from fleet.attach.facts import ProcessFacts
from fleet.configuration.load import load_text
from tests.fleet.attach import trees
from tests.fleet.attach.trees import ACCELERATE, FOLDER, MACOS, PYTHON, RL_SWARM, SECRET, TRL_SCRIPT, process


def find(
    processes: list[ProcessFacts], files: Mapping[str, str] | None = None, written: tuple[str, ...] = ()
) -> list[Candidate]:
    texts = {"/home/ann/grpo/train.py": TRL_SCRIPT, **(files or {})}
    paths = list(map(Path, written))
    return find_candidates(
        processes,
        lambda path: texts.get(str(path), ""),
        lambda folder, since: [path for path in paths if path.is_relative_to(folder)],
    )


def find_one(*processes: ProcessFacts, files: Mapping[str, str] | None = None) -> Candidate:
    (candidate,) = find(list(processes), files)
    return candidate


def readers(candidate: Candidate) -> dict[str, dict[str, str]]:
    return {reader.name: dict(reader.options) for reader in candidate.readers}


def test_of_a_launched_tree_the_top_most_process_is_the_trainer() -> None:
    candidate = find_one(*ACCELERATE)
    assert (candidate.kind, candidate.pid, candidate.title) == ("trl", 110, "trl: train.py in /home/ann/grpo")
    assert set(candidate.pids) == {110, 120, 121, 130, 140, 141}


def test_its_progress_is_read_where_it_is_written() -> None:
    assert readers(find_one(*ACCELERATE)) == {
        "log": {"path": "/home/ann/grpo/train.log", "format": "transformers"},
        "tensorboard": {"path": "/home/ann/grpo/out/runs"},
        "wandb": {"path": "/home/ann/grpo/wandb"},
        "checkpoints": {"path": "/home/ann/grpo/out"},
    }


def test_no_secret_of_a_command_line_is_kept() -> None:
    assert SECRET not in repr(find(ACCELERATE)) + repr(ACCELERATE)


def test_the_same_command_is_found_again_and_no_other() -> None:
    candidate = find_one(*ACCELERATE)
    assert candidate.criteria is not None
    assert candidate.criteria.folder == FOLDER
    pattern = re.compile(candidate.criteria.command or "")
    for started in (
        f"{PYTHON} /x/accelerate launch train.py",
        f"{PYTHON} train.py --hf_token other",
        "python ./train.py",
    ):
        assert pattern.search(started), started
    for other in (f"{PYTHON} pretrain.py", f"{PYTHON} train.py.old", f"{PYTHON} -m train"):
        assert not pattern.search(other), other


def test_runs_of_one_script_are_told_apart_by_their_output() -> None:
    command = f"{PYTHON} train.py --learning_rate 1 --output_dir runs/a --hf_token {SECRET}".split()
    pattern = make_pattern(command) or ""
    assert SECRET not in pattern
    assert re.search(pattern, " ".join(command))
    assert re.search(pattern, f"{PYTHON} train.py --output_dir=runs/a")
    assert not re.search(pattern, f"{PYTHON} train.py --output_dir runs/ab")


def test_trainers_that_nothing_tells_apart_are_flagged() -> None:
    pair = find([process(pid, 1, f"{PYTHON} train.py", out="/tmp/x") for pid in (10, 20)])
    assert [candidate.pid for candidate in pair] == [10, 20]
    assert all("to tell them apart" in " ".join(candidate.notes) for candidate in pair)


def test_an_rl_swarm_is_its_script_with_all_below() -> None:
    candidate = find_one(*RL_SWARM)
    assert (candidate.kind, candidate.pid) == ("rl-swarm", 300)
    assert set(candidate.pids) == {300, 310, 320, 330, 340}
    log = {"path": "/home/ann/rl-swarm/logs/swarm_launcher.log", "format": "rl_swarm"}
    assert readers(candidate) == {"log": log}
    assert "its pace is that of rounds" in candidate.notes[0]
    assert candidate.swarm is not None
    assert candidate.swarm[:3] == (trees.SWARM / "swarm.pem", None, trees.SWARM)
    assert describe_peer(candidate, "s")["identity"] == "/home/ann/rl-swarm/swarm.pem"


def test_an_identity_is_known_before_its_daemon_runs() -> None:
    """From 0.5 on by a variable, which is relative to the working directory."""
    contract = "0x7745a8FE4b8D2D2c3BB103F8dCae822746F35Da0"
    trainer = process(
        320,
        1,
        "python -m code_gen_exp.runner.swarm_launcher --config-name code-gen-swarm.yaml",
        folder=trees.SWARM,
        environment={"IDENTITY_PATH": "keys/one.pem", "ROOT": "/data/one", "SWARM_CONTRACT": contract},
        unit="one.service",
    )
    candidate = find_one(trainer, files={"/data/one/logs/swarm_launcher.log": "[x][INFO] - Starting round: 7/9."})
    assert readers(candidate)["log"]["path"] == "/data/one/logs/swarm_launcher.log"
    peer = describe_peer(candidate, "one")
    assert peer["find"]["unit"] == "one.service"
    # Nothing else tells where its word lists and its release are.
    assert (peer["identity"], peer["contract"], peer["checkout"]) == (
        "/home/ann/rl-swarm/keys/one.pem",
        contract,
        "/home/ann/rl-swarm",
    )
    assert load_text(add_peers(new_file("m"), [peer], []), "x", Path("/base")).lines() == []


def test_an_rl_swarm_that_waits_for_its_login_says_so() -> None:
    assert "its trainer does not run yet" in find_one(*RL_SWARM[:2]).notes


def test_the_older_rl_swarm_is_known_by_its_module() -> None:
    command = f"python -m hivemind_exp.gsm8k.train_single_gpu --hf_token {SECRET} --identity_path a.pem --config c.yaml"
    candidate = find_one(process(10, 1, command, folder=trees.SWARM, out="/tmp/x"))
    assert candidate.kind == "rl-swarm"
    assert candidate.criteria is not None
    assert SECRET not in repr(candidate)
    assert re.search(candidate.criteria.command or "", command)
    assert not re.search(candidate.criteria.command or "", command.replace("a.pem", "b.pem"))
    assert candidate.swarm is not None
    assert candidate.swarm.identity == trees.SWARM / "a.pem"
    assert candidate.notes == ()


def test_on_macos_trainers_are_found_without_what_it_does_not_tell() -> None:
    first, second = find(MACOS, {"/Users/ann/mlx/lora.yaml": "train: true\nadapter_path: adapters # there\n"})
    assert (first.kind, first.pid, second.kind, second.pid) == ("mlx", 501, "mlx", 502)
    assert readers(first) == {"log": {"path": "/Users/ann/mlx/nohup.out", "format": "mlx"}}
    assert second.readers == ()
    assert second.notes == ("where its output goes is not known: name the file",)


@pytest.mark.parametrize(
    ("command", "kind"),
    [
        (f"{PYTHON} /venv/bin/trl grpo --model_name_or_path x", "trl"),
        (f"{PYTHON} /venv/bin/accelerate launch /venv/lib/trl/scripts/sft.py", "trl"),
        (f"{PYTHON} -m verl.trainer.main_ppo trainer.logger=['console','file']", "verl"),
        (f"{PYTHON} /venv/bin/rl @ rl.toml", "prime-rl"),
        (f"{PYTHON} -m prime_rl.trainer.rl.train", "prime-rl"),
        (f"{PYTHON} /venv/bin/swift rlhf --rlhf_type grpo", "ms-swift"),
        (f"{PYTHON} /venv/lib/swift/cli/rlhf.py", "ms-swift"),
        (f"{PYTHON} /venv/bin/llamafactory-cli train a.yaml", "llama-factory"),
        (f"{PYTHON} /venv/bin/torchrun /venv/lib/llamafactory/launcher.py a.yaml", "llama-factory"),
        (f"{PYTHON} /venv/bin/mlx_lm.lora --train", "mlx"),
        (f"{PYTHON} -m mlx_lm lora --train", "mlx"),
        (f"{PYTHON} -m openrlhf.cli.train_ppo_ray", "openrlhf"),
        (f"{PYTHON} unsloth_grpo.py", "unsloth"),
        (f"{PYTHON} hf.py", "transformers"),
        (f"{PYTHON} /venv/bin/vllm serve m", "vllm"),
        (f"{PYTHON} -m vllm.entrypoints.openai.api_server", "vllm"),
        (f"{PYTHON} /venv/bin/trl vllm-serve --model m", "vllm"),
        (f"{PYTHON} generate.py", None),
        (f"{PYTHON} -m exporter.leaderboard --config x", None),
        ("ray::WorkerDict.actor_update", None),
        ("sleep 100", None),
        (f"{PYTHON} /venv/bin/tensorboard --logdir runs", None),
    ],
)
def test_kinds_are_known(command: str, kind: str | None) -> None:
    files = {
        "/venv/bin/rl": "from prime_rl.entrypoints.rl import main\n",
        "/home/ann/grpo/unsloth_grpo.py": "from unsloth import FastLanguageModel\nfrom trl import GRPOTrainer\n",
        "/home/ann/grpo/hf.py": "import transformers\ntransformers.Trainer(model).train()\n",
        "/home/ann/grpo/generate.py": "import transformers\nmodel.generate()\n",
    }
    found = find([process(10, 1, command, out="/tmp/x")], files)
    assert [candidate.kind for candidate in found] == ([] if kind is None else [kind])


def test_a_process_with_pytorch_is_an_unknown_trainer() -> None:
    candidate = find_one(process(10, 1, f"{PYTHON} generate.py", out="/tmp/x", maps_torch=True))
    assert (candidate.kind, candidate.title) == ("unknown", "trainer of an unknown kind: generate.py in /home/ann/grpo")
    assert readers(candidate) == {"log": {"path": "/tmp/x"}}


def test_a_process_that_its_user_names_is_a_trainer_whatever_it_runs() -> None:
    other, script = process(10, 1, f"{PYTHON} other.py"), process(11, 1, f"{PYTHON} mine.py --epochs 3", out="/tmp/x")
    (named,) = find_candidates([other, script], lambda _: "", lambda *_: [], named=11)
    assert (named.pid, named.kind, readers(named)) == (11, "unknown", {"log": {"path": "/tmp/x"}})
    assert named.criteria is not None
    of_a_trainer = find_candidates([*ACCELERATE], lambda _: TRL_SCRIPT, lambda *_: [], named=141)
    assert [(one.pid, one.kind) for one in of_a_trainer] == [(110, "trl")]
    shell = process(12, 1, "bash -c true")
    assert find_candidates([shell], lambda _: "", lambda *_: [], named=12) == []


def test_trainers_that_a_notebook_starts_are_trainers_of_their_own() -> None:
    notebook = process(10, 1, f"{PYTHON} -m ipykernel_launcher", maps_torch=True)
    first, second = find([notebook, *(process(pid, 10, f"{PYTHON} train.py", out=f"/tmp/{pid}") for pid in (11, 12))])[
        1:
    ]
    assert (first.pid, second.pid, first.kind) == (11, 12, "trl")


def test_an_inference_server_is_activity_only() -> None:
    candidate = find_one(process(10, 1, f"{PYTHON} /venv/bin/vllm serve m --port 8123 --api-key {SECRET}"))
    assert candidate.is_activity_only
    assert readers(candidate) == {"prometheus": {"url": "http://127.0.0.1:8123/metrics"}}
    assert SECRET not in repr(candidate)


@pytest.mark.parametrize("command", ["/venv/bin/trl vllm-serve --model m", "-m sglang.launch_server --model-path m"])
def test_a_server_without_a_page_of_vllm_is_given_no_reader(command: str) -> None:
    candidate = find_one(process(10, 1, f"{PYTHON} {command}"))
    assert candidate.is_activity_only
    assert candidate.readers == ()


def test_our_own_trainers_are_watched_already() -> None:
    ours = process(10, 1, f"{PYTHON} -m trainer --config trainer.yaml", maps_torch=True)
    started = process(20, 1, f"{PYTHON} train.py", is_of_fleet=True)
    for candidate in find([ours, started]):
        assert candidate.is_watched
        assert candidate.notes == ("it is watched already",)


def test_a_trainer_of_another_user_is_listed_as_far_as_it_can_be_read() -> None:
    candidate = find_one(process(10, 1, "python -m verl.trainer.main_ppo", folder=None, user="bob"))
    assert candidate.readers == ()
    assert any("it runs as bob" in note for note in candidate.notes)


def test_a_service_is_found_again_by_its_unit() -> None:
    candidate = find_one(process(10, 1, f"{PYTHON} train.py", out="socket:[7]", unit="grpo.service"))
    assert candidate.criteria is not None
    assert (candidate.criteria.unit, candidate.criteria.folder) == ("grpo.service", None)
    assert any("goes to the journal" in note for note in candidate.notes)


@pytest.mark.parametrize(
    ("out", "note"),
    [
        ("pipe:[9]", "through a pipe to another process"),
        ("/dev/pts/3", "goes to a terminal"),
        ("/dev/null", "is thrown away"),
        ("/home/ann/x.log (deleted)", "was deleted"),
    ],
)
def test_output_that_cannot_be_read_is_explained(out: str, note: str) -> None:
    assert any(note in one for one in find_one(process(10, 1, f"{PYTHON} train.py", out=out)).notes)


def test_what_runs_without_a_name_needs_a_pid_file() -> None:
    candidate = find_one(process(10, 1, f"{PYTHON} -c x", maps_torch=True, out="/tmp/x"))
    assert candidate.criteria is None
    assert any("name a pid_file" in note for note in candidate.notes)


def test_folders_are_taken_from_options_settings_and_environment() -> None:
    swift = process(10, 1, f"{PYTHON} /venv/bin/swift rlhf --output_dir o --report_to tensorboard", out="/tmp/x")
    assert readers(find_one(swift))["jsonl"] == {"path": "/home/ann/grpo/o/v*/logging.jsonl"}
    factory = process(11, 1, f"{PYTHON} /venv/bin/llamafactory-cli train a.yaml", out="/tmp/x")
    found = readers(find_one(factory, files={"/home/ann/grpo/a.yaml": "output_dir: saves/a\nreport_to: trackio\n"}))
    assert found["jsonl"] == {"path": "/home/ann/grpo/saves/a/trainer_log.jsonl"}
    assert found["trackio"] == {"path": str(Path.home() / ".cache/huggingface/trackio/huggingface.db")}
    trl = process(12, 1, f"{PYTHON} /venv/bin/trl grpo --report_to trackio", environment={"TRACKIO_DIR": "/t"})
    assert readers(find_one(trl))["trackio"] == {"path": "/t/huggingface.db"}
    assert readers(find_one(trl))["checkpoints"] == {"path": "/home/ann/grpo/trainer_output"}
    verl = process(13, 1, f"{PYTHON} -m verl.trainer.main_ppo trainer.logger=['console','wandb']", out="/tmp/x")
    assert readers(find_one(verl))["wandb"] == {"path": "/home/ann/grpo/wandb"}


def test_a_folder_that_a_script_puts_together_is_not_guessed() -> None:
    script = "from trl import X\nTrainer\na(output_dir=args.out, logging_dir=f'{x}/y')\n"
    candidate = find_one(process(10, 1, f"{PYTHON} train.py", out="/tmp/x"), files={"/home/ann/grpo/train.py": script})
    assert readers(candidate)["checkpoints"] == {"path": "/home/ann/grpo/trainer_output"}


def test_files_that_are_not_kept_open_are_found_where_they_are_written() -> None:
    trainer = process(10, 1, f"{PYTHON} train.py", out="/tmp/x", environment={"HF_HOME": "/hf"})
    run = "/home/ann/grpo/out/runs/Nov28_09-00-00_box/events.out.tfevents.1.box"
    (candidate,) = find([trainer], written=(run, "/hf/trackio/huggingface.db-wal", "/home/ann/grpo/data.jsonl"))
    assert readers(candidate) == {
        "log": {"path": "/tmp/x", "format": "transformers"},
        "tensorboard": {"path": "/home/ann/grpo/out/runs"},
        "trackio": {"path": "/hf/trackio/huggingface.db"},
        "wandb": {"path": "/home/ann/grpo/wandb"},
        "checkpoints": {"path": "/home/ann/grpo/out"},
    }


def test_trainers_that_write_to_one_place_are_flagged() -> None:
    pair = [process(pid, 1, f"{PYTHON} train.py --output_dir out/{pid}", out="/tmp/x") for pid in (10, 20)]
    for candidate in find(pair):
        assert "another trainer writes to the same place, which log would read: name the file" in candidate.notes

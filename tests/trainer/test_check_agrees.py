"""`peerwatch check` calls good what trains, and names what would end a trainer: the same hundred files for both."""

import contextlib
import json
import pickle
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from exporter.files.yaml_text import parse
from fleet.configuration.checks import Machine, check
from fleet.configuration.load import load_text
from fleet.configuration.trainer_checks import PASSED, has_device
from tests import warm
from tests.trainer.sections import END, MEANT_OTHERWISE, TRAIN
from trainer.config import TrainerConfig, load_config
from trainer.grpo_settings.fields import field_types
from trainer.grpo_settings.model_kind import find_setting_mistakes, find_target_mistake

pytestmark = pytest.mark.filterwarnings("ignore")

QUICK = {"num_generations": 2, "max_completion_length": 4, "max_steps": 1}


def _check(section: str, folder: Path) -> list[str]:
    """The places of the lines of `check` about the trainer."""
    loaded = load_text(f"fleet: a\nstate_dir: s\ntrainer: {_as_flow(section)}\n", "peerwatch.yaml", folder)
    check(loaded, Machine(2**34, 2), is_running=True)
    return [line.split(": ")[1] for line in loaded.lines()]


def _as_flow(section: str) -> str:
    return section if section.startswith("{") else f"{{{section}}}"


class _Nothing:
    """Phases and shields of a trainer that nobody watches."""

    @contextlib.contextmanager
    def phase(self, name: str) -> Iterator[None]:
        yield

    @contextlib.contextmanager
    def shield(self) -> Iterator[None]:
        yield


def _train(config: TrainerConfig) -> None:
    """Builds the real trainer and takes one step."""
    from trainer.grpo import build_trainer, quiet

    with quiet():
        config.run_dir.mkdir(exist_ok=True)
        trainer = build_trainer(config, checkpoints=config.run_dir / "ck", phases=_Nothing(), shield=_Nothing())
        trainer.train()


@pytest.mark.parametrize("section", TRAIN)
def test_what_check_calls_good_trains(tmp_path: Path, section: str) -> None:
    assert _check(section, tmp_path) == []
    data = parse(_as_flow(section)).data
    data["grpo"] = QUICK | (data.get("grpo") or {})
    path = tmp_path / "trainer.yaml"
    path.write_text(yaml.safe_dump({"name": "a", "run_dir": "run", **data}))
    _train(load_config(path))


def test_the_rows_reach_a_worker_that_is_spawned() -> None:
    """As with `dataloader_multiprocessing_context: spawn`."""
    from trainer.grpo import _placeholders

    assert pickle.loads(pickle.dumps(_placeholders(is_chat=False)))[1] == {"prompt": ""}


@pytest.mark.parametrize(("section", "place"), END)
def test_what_ends_a_trainer_is_named(tmp_path: Path, section: str, place: str) -> None:
    assert _check(section, tmp_path) == [f"trainer.{place}"]


@pytest.mark.parametrize(("section", "place"), MEANT_OTHERWISE)
def test_what_cannot_be_meant_is_named(tmp_path: Path, section: str, place: str) -> None:
    assert _check(section, tmp_path) == [f"trainer.{place}"]


@pytest.mark.parametrize(
    "section",
    [pytest.param(one, marks=[] if number % 4 == 0 else pytest.mark.bench) for number, (one, _) in enumerate(END)],
)
def test_check_names_only_what_really_ends_a_trainer(tmp_path: Path, section: str) -> None:
    """Without the validation of its own, the trainer ends in TRL, transformers, torch or the task."""
    data: dict[str, Any] = yaml.safe_load(_as_flow(section))
    options = {**QUICK, **data.pop("grpo", {})}
    config = TrainerConfig.model_validate({"name": "a", "run_dir": tmp_path / "run", **data})
    with pytest.raises(Exception) as raised:  # noqa: PT011
        _train(config.model_copy(update={"grpo": options}))
    assert not isinstance(raised.value, AssertionError)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny model and its tokenizer."""
    from trainer.data import byte_tokenizer, tiny_model

    folder, tokenizer = tmp_path_factory.mktemp("saved"), byte_tokenizer()
    tiny_model(tokenizer).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _of_model(saved: Path, folder: Path) -> dict[str, Any]:
    shutil.copytree(saved, folder / "model")
    return {"model": str(folder / "model"), "stages_per_round": 1}


def _config(folder: Path, **changes: Any) -> None:
    config = json.loads((folder / "config.json").read_text()) | changes
    (folder / "config.json").write_text(json.dumps({name: one for name, one in config.items() if one is not None}))


def _cut(path: Path, count: int) -> None:
    path.write_bytes(path.read_bytes()[:count])


POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n"
FOUR_BITS = {"quant_method": "bitsandbytes", "load_in_4bit": True}
# What became of a model's folder, and the words of `check` about it.
DAMAGE: dict[str, tuple[Callable[[Path], Any], str]] = {
    "no weights": (lambda at: (at / "model.safetensors").unlink(), "has no weights"),
    "no tokenizer": (lambda at: (at / "tokenizer.json").unlink(), "has no tokenizer"),
    "a broken tokenizer": (lambda at: (at / "tokenizer.json").write_text("{"), "tokenizer.json is no JSON"),
    "broken special tokens": (lambda at: (at / "special_tokens_map.json").write_text("{"), "map.json is no JSON"),
    "broken added tokens": (lambda at: (at / "added_tokens.json").write_text("{"), "added_tokens.json is no JSON"),
    "no JSON": (lambda at: (at / "config.json").write_text("{"), "config.json is no JSON"),
    "a list": (lambda at: (at / "config.json").write_text("[]"), "config.json is no JSON object"),
    "no kind": (lambda at: _config(at, model_type=None), "has no model_type"),
    "an unknown kind": (lambda at: _config(at, model_type="nosuch"), "knows no model_type 'nosuch'"),
    "weights of four bits": (lambda at: _config(at, quantization_config=FOUR_BITS), "needs the package bitsandbytes"),
    "no architecture": (lambda at: _config(at, architectures=[]), "names no architectures"),
    "an unknown one": (lambda at: _config(at, architectures=["NoLM"]), "knows no architecture 'NoLM'"),
    "a pointer": (lambda at: (at / "model.safetensors").write_text(POINTER), "run `git lfs pull` there"),
    "empty weights": (lambda at: _cut(at / "model.safetensors", 0), "model.safetensors is cut off"),
    "half a header": (lambda at: _cut(at / "model.safetensors", 1000), "model.safetensors is cut off"),
    "cut off weights": (lambda at: _cut(at / "model.safetensors", -1000), "model.safetensors is cut off"),
    "a reward model": (lambda at: _config(at, architectures=["Qwen2ForSequenceClassification"]), "generates no text"),
    "no head": (lambda at: _config(at, architectures=["Qwen2Model"]), "its architecture, Qwen2Model, generates no"),
}


def test_a_saved_model_trains(tmp_path: Path, saved: Path) -> None:
    section = _of_model(saved, tmp_path) | {"grpo": {**QUICK, "model_init_kwargs": '{"dtype": "bfloat16"}'}}
    assert _check(json.dumps(section), tmp_path) == []
    _train(TrainerConfig.model_validate({"name": "a", "run_dir": tmp_path / "run", **section}))


@pytest.mark.parametrize("name", DAMAGE)
def test_a_folder_that_no_model_loads_from_is_named(tmp_path: Path, saved: Path, name: str) -> None:
    section = _of_model(saved, tmp_path)
    damage, words = DAMAGE[name]
    damage(tmp_path / "model")
    loaded = load_text(json.dumps({"fleet": "a", "state_dir": "s", "trainer": section}), "peerwatch.yaml", tmp_path)
    check(loaded, Machine(2**34, 2), is_running=True)
    (line,) = loaded.lines()
    assert line.startswith("peerwatch.yaml:1: trainer.model: ")
    assert words in line
    with pytest.raises(Exception) as raised:  # noqa: PT011
        _train(TrainerConfig.model_validate({"name": "a", "run_dir": tmp_path / "run", **section, "grpo": QUICK}))
    assert not isinstance(raised.value, AssertionError)


@pytest.mark.parametrize(
    "options",
    [
        {"dtype": "bfloat17"},
        {"torch_dtype": "bfloat17"},
        {"dtype": 5},
        {"attn_implementation": "nosuch"},
        {"attn_implementation": 5},
    ],
)
def test_options_that_no_model_loads_with_are_named(tmp_path: Path, saved: Path, options: dict[str, Any]) -> None:
    section = _of_model(saved, tmp_path)
    grpo = {**QUICK, "model_init_kwargs": options}
    assert _check(json.dumps(section | {"grpo": grpo}), tmp_path) == ["trainer.grpo.model_init_kwargs"]
    config = TrainerConfig.model_validate({"name": "a", "run_dir": tmp_path / "run", **section})
    with pytest.raises((ValueError, TypeError, AttributeError), match=r"Invalid `dtype`|is not supported|int"):
        _train(config.model_copy(update={"grpo": grpo}))


# Options that a model is loaded with, and where `check` names them.
LOADS: list[dict[str, Any]] = [
    {"use_cache": False, "local_files_only": True, "trust_remote_code": True, "attention_dropout": 0.1},
    {"max_position_embeddings": 64, "device_map": "auto", "low_cpu_mem_usage": True, "experts_implementation": "eager"},
    {"torch_dtype": "bfloat16", "rms_norm_eps": 1e-5, "attention_dropout": 0, "eos_token_id": [1, 2]},
    {"device_map": {"": "cpu:0"}, "max_memory": {"cpu": "1GB"}, "use_safetensors": True},
]
LOADS_NOT: list[dict[str, Any] | str] = [
    *({"foo": 1}, {"torch_dtyp": "float32"}, {"load_in_8bit": True}, {"torchscript": True}),
    *({"hidden_size": "x"}, {"rms_norm_eps": "1e-6"}, {"num_hidden_layers": 1.5}, {"use_cache": "maybe"}),
    *({"device_map": one} for one in ("nosuch", "CPU", "meta", "disk", "", ["cpu"], True, {"": "nosuch"})),
    # A mapping may be written as JSON.
    *('{"foo": 1}', '{"hidden_size": "x"}'),
    *({"rms_norm_eps": 1}, {"vocab_size": 258.0}, {"1": 2}, {"attn_implementation": "paged|eager"}),
    *(
        {"quantization_config": {"load_in_4bit": False}},
        {"quantization_config": {}},
        {"experts_implementation": "nosuch"},
    ),
]
# As long as torch has no such device, or the package is not installed.
LOADS_NOT_HERE: list[dict[str, Any]] = [
    *({"device_map": one} for one in ("cuda:0", 0, "mps")),
    *({"attn_implementation": one} for one in ("flash_attention_2", "flash_attention_3", "flash_attention_4", "a/b")),
    *({"use_kernels": True}, {"quantization_config": {"load_in_4bit": True}}),
    *({"quantization_config": {"quant_method": one}} for one in ("gptq", "torchao")),
]
# Names of files that are not there.
LOADS_NO_FILE: list[dict[str, Any]] = [{"subfolder": "nosuch"}, {"variant": "fp16"}, {"use_safetensors": False}]


@pytest.mark.parametrize("options", LOADS)
def test_a_model_loads_with_what_check_calls_good(tmp_path: Path, saved: Path, options: dict[str, Any]) -> None:
    section = _of_model(saved, tmp_path) | {"grpo": {**QUICK, "model_init_kwargs": options}}
    assert _check(json.dumps(section), tmp_path) == []
    _train(TrainerConfig.model_validate({"name": "a", "run_dir": tmp_path / "run", **section}))


@pytest.mark.parametrize(
    ("options", "place"),
    [
        *((one, "grpo.model_init_kwargs") for one in (*LOADS_NOT, *LOADS_NOT_HERE)),
        *((one, "model") for one in LOADS_NO_FILE),
    ],
)
def test_options_of_loading_that_end_a_trainer_are_named(
    tmp_path: Path, saved: Path, options: dict[str, Any] | str, place: str
) -> None:
    section = _of_model(saved, tmp_path)
    grpo = {**QUICK, "model_init_kwargs": options}
    assert _check(json.dumps(section | {"grpo": grpo}), tmp_path) == [f"trainer.{place}"]
    config = TrainerConfig.model_validate({"name": "a", "run_dir": tmp_path / "run", **section})
    read = json.loads(options) if isinstance(options, str) else options
    with pytest.raises(Exception) as raised:  # noqa: PT011
        _train(config.model_copy(update={"grpo": grpo | {"model_init_kwargs": read}}))
    assert not isinstance(raised.value, AssertionError) or "Torch not compiled" in str(raised.value)


def test_attention_that_trains_on_cards_only_is_named(tmp_path: Path, saved: Path) -> None:
    """A real trainer takes twenty seconds to end with it."""
    grpo = {**QUICK, "model_init_kwargs": {"attn_implementation": "flex_attention"}}
    section = _of_model(saved, tmp_path) | {"grpo": grpo, "device": "cpu"}
    assert _check(json.dumps(section), tmp_path) == ["trainer.grpo.model_init_kwargs"]


@pytest.mark.parametrize(
    ("targets", "is_good"),
    [
        (["q_proj", "nosuch"], True),
        (["model.layers.0.self_attn.q_proj", "embed_tokens"], True),
        (["0.self_attn.q_proj", "attn.norm"], True),
        *((targets, False) for targets in (["q_projx"], ["q_pro", "nosuch"], ["q_proj", "norm"], ["mlp"], ["lm_head"])),
        *((targets, False) for targets in (["attn.q_proj"], ["q_proj", "act_fn"], ["model"], ["q_proj.weight"])),
    ],
)
@pytest.mark.parametrize("is_tiny", [True, False])
def test_adapters_need_modules_that_the_model_has(
    tmp_path: Path, saved: Path, targets: list[str], *, is_good: bool, is_tiny: bool
) -> None:
    section = {} if is_tiny else _of_model(saved, tmp_path)
    section |= {"lora": {"r": 2, "target_modules": targets}, "grpo": QUICK}
    assert _check(json.dumps(section), tmp_path) == ([] if is_good else ["trainer.lora.target_modules"])
    config = TrainerConfig.model_validate({"name": "a", "run_dir": tmp_path / "run", **section})
    with contextlib.nullcontext() if is_good else pytest.raises(ValueError, match=r"not supported|not found"):
        _train(config)


@pytest.mark.parametrize(
    ("kind", "target"),
    [
        ("deepseek_v3", "q_a_proj"),
        ("zamba", "linear"),
        ("idefics", "fc1"),
        ("trocr", "embed_positions"),
        ("xmod", "dense1"),
    ],
)
def test_adapters_on_parts_that_a_kind_makes_in_other_ways_are_good(kind: str, target: str) -> None:
    assert find_target_mistake(kind, [target]) is None


def _of_reward(folder: Path, code: str) -> dict[str, Any]:
    (folder / "reward.py").write_text(code)
    return {"rewards": [f"{folder / 'reward.py'}:score"], "stages_per_round": 1}


@pytest.mark.parametrize(
    "code",
    [
        f"def score(completions, **given): assert {{'completions', *given}} == {set(PASSED)}; return [0.5] * 2",
        f"def score({', '.join(PASSED)}, *, seed=5, **_): return [0.5, None]",
        "async def score(prompts, weight=1, **kwargs): return [0.5] * 2",
        "def wrapped(f): return lambda **_: f([1, 2])\n@wrapped\ndef score(x): return x",
        "score = lambda completions, **_: [0.5] * 2",
        "def score(x): return x\nif True:\n    def score(**_): return [0.5] * 2",
        "class Score:\n    def score(self, x): pass\n    def __call__(self, **_): return [0.5] * 2\nscore = Score()",
    ],
)
def test_a_reward_that_check_calls_good_is_called(tmp_path: Path, code: str) -> None:
    section = _of_reward(tmp_path, code)
    assert _check(json.dumps(section), tmp_path) == []
    _train(TrainerConfig.model_validate({"name": "a", "run_dir": tmp_path / "run", **section, "grpo": QUICK}))


@pytest.mark.parametrize(
    "code",
    [
        "score = 5",
        "def score(completions): return [0.5] * 2",
        "def score(completions, ground_truth, **_): return [0.5] * 2",
        "def score(completions, *, truth, **_): return [0.5] * 2",
        "def score(completions, /, **_): return [0.5] * 2",
    ],
)
def test_a_reward_that_cannot_be_called_is_named(tmp_path: Path, code: str) -> None:
    section = _of_reward(tmp_path, code)
    assert _check(json.dumps(section), tmp_path) == ["trainer.rewards"]
    with pytest.raises((TypeError, ValueError), match=r"score"):
        _train(TrainerConfig.model_validate({"name": "a", "run_dir": tmp_path / "run", **section, "grpo": QUICK}))


def test_a_device_is_one_that_torch_was_built_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    version = tmp_path / "torch" / "version.py"
    version.parent.mkdir()
    (tmp_path / "torch" / "__init__.py").touch()
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    for text, is_built in {
        "cuda: Optional[str] = None\nhip: Optional[str] = None\n": False,
        "cuda: Optional[str] = '12.8'\nhip: Optional[str] = None\n": True,
        "cuda: Optional[str] = None\nhip: Optional[str] = '6.4'\n": True,
        "cuda = None\nhip = None\n": False,
    }.items():
        version.write_text(text)
        assert has_device("cuda") is is_built
    assert has_device("mps") is (sys.platform == "darwin")
    assert has_device("auto")


def test_every_field_has_a_type_that_is_judged() -> None:
    types = field_types()
    assert types is not None
    assert {name for name, found in types.items() if found.kinds & {"object", "Any"}} <= {"parallelism_config"}


@pytest.mark.parametrize(
    ("grpo", "words"),
    [
        ("{learning_rate: fast}", "learning_rate: should be a number, not 'fast'"),
        ("{sync_ref_model: true}", "grpo.sync_ref_model: needs a reference model"),
        ("{beta: .nan}", "grpo.beta: not a finite number"),
    ],
)
def test_a_real_trainer_ends_with_the_same_line(tmp_path: Path, grpo: str, words: str) -> None:
    (tmp_path / "trainer.yaml").write_text(f"name: a\nrun_dir: run\ngrpo: {grpo}\n")
    options = ("--config", str(tmp_path / "trainer.yaml"))
    done = warm.run("trainer", *options)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert words in done.stderr


def test_a_real_trainer_trains_with_numbers_as_people_write_them(tmp_path: Path) -> None:
    text = "grpo: {learning_rate: 1e-6, beta: '1e-3', max_completion_length: '4', num_generations: 2.0}\n"
    rounds = "max_rounds: 1\nstages_per_round: 1\nsteps_per_stage: 2\nswarm: {port: 0, leader: true}\n"
    (tmp_path / "trainer.yaml").write_text(f"name: a\nrun_dir: run\n{rounds}{text}")
    options = ("--config", str(tmp_path / "trainer.yaml"))
    done = warm.run("trainer", *options)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "run finished" in done.stdout


@pytest.mark.bench
def test_adapters_that_are_usual_for_a_kind_of_model_are_good() -> None:
    from peft.utils.constants import TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING as USUAL

    kinds = {kind: targets for kind, targets in USUAL.items() if isinstance(targets, list)}
    assert len(kinds) > 30
    assert {kind: mistake for kind, targets in kinds.items() if (mistake := find_target_mistake(kind, targets))} == {}


@pytest.mark.bench
def test_every_layer_of_every_kind_of_model_takes_adapters() -> None:
    import torch
    import transformers
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES as GENERATING
    from transformers.pytorch_utils import Conv1D

    layers = (torch.nn.Linear, torch.nn.Embedding, torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.Conv3d, Conv1D)
    built, refused = 0, {}
    for kind, name in GENERATING.items():
        try:
            with torch.device("meta"):
                model = getattr(transformers, name)(CONFIG_MAPPING[kind]())
        except Exception:  # noqa: BLE001  Some have no settings by default, or need packages of their own.
            continue
        built += 1
        parts = [(path, isinstance(part, layers)) for path, part in model.named_modules() if path]
        others = {path.rpartition(".")[2] for path, is_layer in parts if not is_layer}
        for path in {re.sub(r"\b\d+\b", "0", path) for path, is_layer in parts if is_layer and "lm_head" not in path}:
            last = path.rpartition(".")[2]
            for target in {path, last} if last not in others else ():
                if mistake := find_target_mistake(kind, [target]):
                    refused[kind] = mistake
    assert built > 100
    assert refused == {}


@pytest.mark.bench
def test_the_settings_of_every_kind_of_model_are_good() -> None:
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES as GENERATING

    found = {}
    for kind in GENERATING:
        try:
            settings = CONFIG_MAPPING[kind]().to_dict()
        except Exception:  # noqa: BLE001  Some have no settings by default.
            continue
        found[kind] = list(find_setting_mistakes(kind, settings))
    assert len(found) > 100
    assert {kind: mistakes for kind, mistakes in found.items() if mistakes} == {}

"""Checkouts in the shape of rl-swarm's releases, whose trainers log line by line as the real ones do.

They train nothing. The DHT is a forked child, and below it runs what is called p2pd, with the identity in its command
line. `PACE` is the seconds of a report (0.4) or a round; `END` makes the second round end as that says.
"""

import json
import stat
from pathlib import Path

CONTRACTS = {
    "0.4": "0x69C6e1D608ec64885E7b185d39b04B491a71768C",
    "0.5": "0xFaD7C5e93f28257429569B854151A1B8DCD404c2",
    "0.6": "0xFaD7C5e93f28257429569B854151A1B8DCD404c2",
    "0.7": "0x7745a8FE4b8D2D2c3BB103F8dCae822746F35Da0",
}
DAPO_CONTRACT = "0x6947c6E196a48B77eFa9331EC1E3e45f3Ee5Fd58"
LAUNCHERS = {
    "0.4": "hivemind_exp/gsm8k/train_single_gpu.py",
    "0.5": "rgym_exp/runner/swarm_launcher.py",
    "0.6": "rgym_exp/runner/swarm_launcher.py",
    "0.7": "code_gen_exp/runner/swarm_launcher.py",
}
CONFIGS = {
    "0.4": "hivemind_exp/configs/mac/grpo-qwen-2.5-0.5b-deepseek-r1.yaml",
    "0.5": "rgym_exp/config/rg-swarm.yaml",
    "0.6": "rgym_exp/config/rg-swarm.yaml",
    "0.7": "code_gen_exp/config/code-gen-swarm.yaml",
}
WORDS = {
    "0.4": "hivemind_exp/name_utils.py",
    "0.5": "rgym_exp/src/utils/name_utils.py",
    "0.6": "rgym_exp/src/utils/name_utils.py",
    "0.7": "code_gen_exp/src/utils/name_utils.py",
}
ADJECTIVES = [f"adjective{number}" for number in range(201)]
ANIMALS = [f"animal{number}" for number in range(199)]

_DHT = """
import os, signal, subprocess, sys, time

PACE, END = float(os.environ.get("PACE", "0.2")), os.environ.get("END", "")

def start_dht(identity):
    if os.fork() == 0:
        signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
        p2pd = os.path.join(os.getcwd(), "hivemind_cli", "p2pd")
        daemon = [p2pd, "-I", "-S", "-c", "import time; time.sleep(1000)", "-listen=/unix/x.sock", "-id=" + identity]
        subprocess.run(daemon, executable=sys.executable)
        os._exit(0)
"""

OF_STAGES = (
    _DHT
    + """
import argparse, logging

parser = argparse.ArgumentParser()
for name in ("hf_token", "identity_path", "modal_org_id", "contract_address", "config", "game"):
    parser.add_argument("--" + name)
given = parser.parse_args()
os.makedirs("logs", exist_ok=True)
logging.addLevelName(logging.WARNING, "WARN")
logging.basicConfig(
    filename="logs/swarm.log", filemode="w", level=logging.DEBUG, encoding="utf-8",
    format="%(asctime)s - %(levelname)s - %(name)s:%(lineno)d - %(message)s",
)
start_dht(given.identity_path)
logging.debug("Training/evaluation parameters GRPOConfig(\\nlogging_steps=2,\\nmax_steps=20,\\n)")
logging.getLogger("hivemind_exp.chain_utils").info("\\u2705 Connected to Gensyn Testnet")
logging.info("\\U0001f431 Hello \\U0001f408 [meek soaring vulture] \\U0001f9ae [Qm]!")
logging.info("Registering self with peer ID: Qm")
log = logging.getLogger("hivemind_exp.trainer.hivemind_grpo_trainer:meek soaring vulture")
for number in range(7, 100_000):
    log.info("\\U0001f41d Joining round: %d starting at stage: 0", number)
    if END == "crash" and number == 8:
        log.error("Exception during training")
        sys.exit("UnboundLocalError: local variable 'current_batch' referenced before assignment")
    for stage in range(3):
        log.info("\\U0001f4c8 Training round: %d stage: %d", number, stage)
        for report in range(10):
            time.sleep(PACE)
            values = {"loss": 0.0, "grad_norm": 0.5, "reward": 0.25, "reward_std": 0.1, "kl": 0.001, "epoch": 0.5}
            logging.debug("[PRINT] %s", values)
        logging.debug("[PRINT] {'train_runtime': 28.986, 'train_loss': 0.0007, 'epoch': 6.89}")
        log.info("Saving model")
        log.info("Model saved to runs/tiny-meek_soaring_vulture")
        log.info("\\U0001f4c9 Finished training round: %d stage: %d", number, stage)
    log.info("Submitting winners for round %d: ['Qm']", number)
    log.info("Already finished round: %d. Next check in 5.0s", number)
"""
)

OF_ROUNDS = (
    _DHT
    + """
logs = os.path.join(os.environ.get("ROOT", "."), "logs")
os.makedirs(logs, exist_ok=True)

def log(message, level="INFO"):
    now = time.time()
    moment = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(now)) + ",%03d" % (now % 1 * 1000)
    with open(os.path.join(logs, "swarm_launcher.log"), "a", encoding="utf-8") as file:
        file.write("[" + moment + "][genrl.logging_utils.global_defs][" + level + "] - " + message + "\\n")

start_dht(os.environ["IDENTITY_PATH"])
log("\\u2705 Connected to Gensyn Testnet")
if "code_gen_exp" in sys.argv[0]:
    log("============!!!Joining CodeZero Swarm!!!============")
    log("\\U0001f41d Hello [meek soaring vulture] [Qm]!")
else:
    log("\\U0001f431 Hello \\U0001f408 [meek soaring vulture] \\U0001f9ae [Qm]!")
    log("bootnodes: []")
log("Using Model: " + os.environ.get("MODEL_NAME", "Gensyn/Qwen2.5-0.5B-Instruct"))
log("Peer ID [Qm] is already registered! Continuing.")
for number in range(28239, 1000000):
    log("Starting round: %d/1000000." % number)
    time.sleep(PACE)
    if END and number == 28240:
        log("Exception occurred during game run.", "ERROR")
        with open(os.path.join(logs, "swarm_launcher.log"), "a") as file:
            file.write("Traceback (most recent call last):\\n" + END + "\\n")
        sys.exit(0)
    log("Already finished round: %d. Next check in 5.0s." % (number - 1))
    time.sleep(PACE)
    log("\\U0001f41d Joining round: %d" % (number + 1))
"""
)

# What is read of the launch scripts, with what they leave behind.
_SCRIPT_OF_STAGES = """\
ROOT=$PWD
SMALL_SWARM_CONTRACT="{contract}"
BIG_SWARM_CONTRACT="{dapo}"
python -m hivemind_exp.gsm8k.train_single_gpu --hf_token "$HF_TOKEN" --identity_path "$ROOT/swarm.pem" \\
    --modal_org_id org --contract_address "$SMALL_SWARM_CONTRACT" --config "$ROOT/{config}" --game gsm8k
rm -r modal-login/temp-data/*.json
"""
_SCRIPT_OF_ROUNDS = """\
ROOT=$PWD
export IDENTITY_PATH=${{IDENTITY_PATH:-$ROOT/swarm.pem}}
export SWARM_CONTRACT="{contract}"
{game}python -m {module} \\
    --config-path "$ROOT/{config_folder}" \\
    --config-name "{config_name}"
rm -r modal-login/temp-data/*.json
"""
_YAML_OF_STAGES = """\
model_name_or_path: Gensyn/Qwen2.5-0.5B-Instruct
torch_dtype: float32
bf16: false
max_steps: 20
per_device_train_batch_size: 2
gradient_accumulation_steps: 4
gradient_checkpointing: true
beta: 0.001
max_prompt_length: 256
max_completion_length: 1024
num_generations: 2
"""
_YAML_OF_ROUNDS = """\
training:
  max_round: 1000000
  num_generations: 2
  seed: 42
  dtype: 'float32'
game_manager:
  trainer:
    models:
      - _target_: transformers.AutoModelForCausalLM.from_pretrained
        pretrained_model_name_or_path: ${oc.env:MODEL_NAME, ${gpu_model_choice:${default_large_model_pool},\
${default_small_model_pool}}}
    config:
      _target_: genrl.trainer.grpo_trainer.GRPOTrainerConfig
      dtype: ${training.dtype}
      num_generations: ${training.num_generations}
      max_new_tokens: 256
  data_manager:
    num_train_samples: 2
default_large_model_pool:
  - Gensyn/Qwen2.5-1.5B-Instruct
default_small_model_pool:
  - Gensyn/Qwen2.5-0.5B-Instruct
  - Qwen/Qwen3-0.6B
"""


def make_checkout(folder: Path, version: str, *, account: str | None = "org-of-ann") -> Path:
    """A checkout of a release, logged in where `account` is given."""
    launcher, config = LAUNCHERS[version], CONFIGS[version]
    is_of_stages = version == "0.4"
    module = launcher.removesuffix(".py").replace("/", ".")
    script = _SCRIPT_OF_STAGES if is_of_stages else _SCRIPT_OF_ROUNDS
    config_folder, _, config_name = config.rpartition("/")
    game = 'export PRG_CONTRACT="0x51D4db531ae706a6eC732458825465058fA23a35"\n' if version == "0.6" else ""
    files = {
        launcher: OF_STAGES if is_of_stages else OF_ROUNDS,
        config: _YAML_OF_STAGES if is_of_stages else _YAML_OF_ROUNDS,
        WORDS[version]: f"ADJECTIVES = {ADJECTIVES!r}\nANIMALS = {ANIMALS!r}\n",
        "run_rl_swarm.sh": script.format(
            contract=CONTRACTS[version],
            dapo=DAPO_CONTRACT,
            config=config,
            config_folder=config_folder,
            config_name=config_name,
            module=module,
            game=game,
        ),
        "modal-login/package.json": "{}",
        "README.md": "rl-swarm",
    }
    if account:
        files["modal-login/temp-data/userData.json"] = json.dumps({account: {"orgId": account}}, indent=2)
        files["modal-login/temp-data/userApiKey.json"] = json.dumps({account: [{"privateKey": "secret"}]}, indent=2)
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    (folder / "run_rl_swarm.sh").chmod(stat.S_IRWXU)
    return folder


def tag_checkout(folder: Path, tag: str) -> None:
    """As git leaves it when a tag is checked out."""
    commit = "ab" * 20
    (folder / ".git").mkdir()
    (folder / ".git" / "HEAD").write_text(f"{commit}\n")
    refs = f"{'cd' * 20} refs/tags/v9.9.9\n{'ef' * 20} refs/tags/{tag}\n^{commit}\n"
    (folder / ".git" / "packed-refs").write_text(f"# pack-refs with: peeled fully-peeled sorted\n{refs}")

"""What one peer needs at its peak, line by line; docs/plan.md has the formula and its sources; pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from fleet.plan.shapes import Shape
from fleet.plan.workload import Workload

MIB = 2**20

# Measured by tests/bench/test_plan.py, which prints new values.
TRAINER_BYTES = 370 * MIB
LIBRARIES_BYTES = 180 * MIB
SWARM_BYTES = 255 * MIB
ADAPTERS_BYTES = 60 * MIB
SIDECAR_BYTES = 20 * MIB
# Words and merges of a byte-pair tokenizer, as `tokenizers` holds them.
TOKENIZER_WORD_BYTES = 900
# Tensors of one tile of logits that the backward pass of the head holds at once; counted in TRL's code for devices
# without Triton, and seen in the peaks.
HEAD_COPIES = 8.5
# One tile of the head: tokens and vocabulary entries, in trl.kernels.chunked_logprob and trl.trainer.utils.
HEAD_TOKENS, HEAD_VOCABULARY = 4096, 32768
# Copies of one position's logits while a token is drawn.
SAMPLING_COPIES = 6
# AdamW keeps two numbers for each trained weight.
ADAM_STATES = 2
# glibc returns freed blocks of this size or more; of smaller ones it keeps this share of a backward pass.
RETURNED_BYTES = 32 * MIB
KEPT_SHARE = 0.65
# The driver, cuBLAS and their like, in the machine's memory and on the card.
CUDA_HOST_BYTES = 1500 * MIB
CUDA_CARD_BYTES = 600 * MIB

Place = Literal["machine", "accelerator"]
Phase = Literal["always", "generating", "training"]


@dataclass(frozen=True)
class Line:
    """One part of the footprint. Of `generating` and `training` only the larger phase counts, as they alternate."""

    name: str
    bytes: float
    origin: str
    place: Place = "machine"
    phase: Phase = "always"


@dataclass(frozen=True)
class Footprint:
    """The parts of one peer's peak. `shared_bytes` of it counts once, however many peers run."""

    lines: tuple[Line, ...]
    shared_bytes: float = 0.0

    @property
    def phase(self) -> Phase:
        """The one that decides the peak."""
        return max(("training", "generating"), key=lambda phase: self._of(phase))

    @property
    def bytes(self) -> float:
        return self._of("always") + self._of(self.phase)

    @property
    def accelerator_bytes(self) -> float:
        """The part of it that is tensors, which an accelerator holds where there is one."""
        lines = [line for line in self.lines if line.place == "accelerator" and line.phase in ("always", self.phase)]
        return sum(line.bytes for line in lines)

    def _of(self, phase: str) -> float:
        return sum(line.bytes for line in self.lines if line.phase == phase)


def predict(shape: Shape, work: Workload, *, system: str) -> Footprint:
    """`system` is sys.platform: only Linux counts the pages of shared libraries as a process's own."""
    libraries = LIBRARIES_BYTES if system != "darwin" else 0.0
    lines = list(_lines(shape, work, libraries))
    if system != "darwin":
        lines += _kept(shape, work, next(line.bytes for line in lines if line.name == "gradients"))
    return Footprint(tuple(lines), shared_bytes=libraries)


def adapter_parameters(shape: Shape, rank: int) -> int:
    """Of LoRA on all linear maps of the layers: two thin matrices for each."""
    return shape.layers * sum(rank * (rows + columns) for rows, columns in shape.linear_sizes)


def _lines(shape: Shape, work: Workload, libraries: float) -> Iterator[Line]:
    yield Line("Python, torch, TRL", TRAINER_BYTES, "measured on Linux")
    if libraries:
        yield Line("shared libraries", libraries, "measured; once for all peers")
    yield Line("tokenizer", TOKENIZER_WORD_BYTES * shape.vocabulary, f"{shape.vocabulary:,} words, measured on Linux")
    yield Line("DHT process and p2pd", SWARM_BYTES, "measured on Linux")
    if work.lora_rank:
        yield Line("peft", ADAPTERS_BYTES, "measured on Linux")
    if work.device == "cuda":
        yield Line("CUDA in the machine's memory", CUDA_HOST_BYTES, "assumed")
        yield Line("CUDA on the card", CUDA_CARD_BYTES, "assumed", "accelerator")
    yield from _weights(shape, work)
    yield from _generating(shape, work)
    yield from _training(shape, work)


def _weights(shape: Shape, work: Workload) -> Iterator[Line]:
    size = work.weight_bytes
    millions = f"{shape.parameters / 1e6:,.1f} million"
    yield Line("weights", shape.parameters * size, f"{millions} × {size} bytes ({work.dtype})", "accelerator")
    if work.has_reference:
        yield Line("reference model", shape.parameters * size, "as the weights, for beta > 0", "accelerator")
    trained, trained_size, what = shape.parameters, size, millions
    if work.lora_rank:
        # peft keeps adapters in float32 whatever the model's type.
        trained, trained_size = adapter_parameters(shape, work.lora_rank), 4
        what = f"{trained / 1e6:,.1f} million of rank {work.lora_rank}"
        yield Line("adapters", trained * trained_size, f"{what} × 4 bytes", "accelerator")
    yield Line("gradients", trained * trained_size, f"{what} × {trained_size} bytes", "accelerator")
    states = ADAM_STATES * trained * trained_size
    yield Line("optimizer (AdamW)", states, f"{what} × {ADAM_STATES} × {trained_size} bytes", "accelerator")


def _generating(shape: Shape, work: Workload) -> Iterator[Line]:
    per_token = 2 * shape.layers * shape.key_value_heads * shape.head_size * work.weight_bytes
    # While the cache of a layer grows by a token, its old and its new tensors are both there.
    cache = per_token * (1 + 1 / shape.layers) * work.generated * work.tokens
    what = f"{work.generated} completions × {work.tokens} tokens × {per_token} bytes"
    yield Line("generation cache", cache, what, "accelerator", "generating")
    logits = SAMPLING_COPIES * work.generated * shape.vocabulary * 4
    yield Line(
        "drawing tokens",
        logits,
        f"{SAMPLING_COPIES} copies of {work.generated} × {shape.vocabulary:,} logits",
        "accelerator",
        "generating",
    )


def _training(shape: Shape, work: Workload) -> Iterator[Line]:
    tokens = work.batch * work.tokens
    counted = f"{work.batch} × {work.tokens} tokens"
    layer = _layer_bytes(shape, work, tokens)
    head = _head_bytes(shape, work, tokens)
    if work.checkpointing:
        kept = tokens * shape.hidden * work.weight_bytes * shape.layers
        yield Line("checkpointed activations", kept, f"{counted}, {shape.layers} layers", "accelerator", "training")
        # The head's work is over when the first layer is computed again.
        head = max(head, layer)
    else:
        yield Line("activations", layer * shape.layers, f"{counted}, {shape.layers} layers", "accelerator", "training")
    name = "logits of the backward pass" if head > layer or not work.checkpointing else "one layer computed again"
    yield Line(name, head, f"{counted}, {shape.vocabulary:,} words", "accelerator", "training")


def _kept(shape: Shape, work: Workload, gradients: float) -> Iterator[Line]:
    """Small blocks of the activations that the allocator does not give back, beyond those where gradients lie again."""
    if work.device != "cpu":
        return
    tokens, q, kv = work.batch * work.tokens, shape.heads * shape.head_size, shape.key_value_heads * shape.head_size
    row = tokens * work.weight_bytes
    blocks = ((6 * shape.hidden + 4 * q + 4 * kv, shape.hidden), (4 * shape.intermediate, shape.intermediate))
    small = sum(numbers for numbers, width in blocks if row * width < RETURNED_BYTES)
    kept = KEPT_SHARE * shape.layers * row * small - gradients
    if kept > 0 and work.checkpointing:
        yield Line("kept by the allocator", kept, "freed blocks below 32 MiB, which glibc keeps")


def _head_bytes(shape: Shape, work: Workload, tokens: int) -> float:
    tile = min(tokens, HEAD_TOKENS) * min(shape.vocabulary, HEAD_VOCABULARY) * 4
    # A type of less precision sums the head's gradient in float32 first.
    sums = shape.vocabulary * shape.hidden * 4 if work.weight_bytes < 4 and not work.lora_rank else 0
    if work.device == "cuda":
        # The Triton kernel works in place.
        return 2 * tile + sums
    # Products of such a type are made in float32, with a copy of the words of one tile: beside the tile's freed copies
    # where the allocator keeps those.
    words = min(shape.vocabulary, HEAD_VOCABULARY) * shape.hidden * 4
    is_copied = work.weight_bytes < 4 and work.device == "cpu" and tile < RETURNED_BYTES
    return HEAD_COPIES * tile + sums + (words if is_copied else 0)


def _layer_bytes(shape: Shape, work: Workload, tokens: int) -> float:
    """What one layer keeps for its backward pass: the inputs of each product, norm and activation function."""
    q, kv = shape.heads * shape.head_size, shape.key_value_heads * shape.head_size
    numbers = 6 * shape.hidden + 4 * q + 4 * kv + 4 * shape.intermediate
    # Norms compute in float32.
    norms = 4 * shape.hidden * (4 - work.weight_bytes)
    scores = 0
    if work.device == "mps":
        # Metal's attention writes the scores and their softmax down.
        scores = 2 * work.batch * shape.heads * work.tokens**2 * work.weight_bytes
    # Adapters are float32: each has a copy of its input where the model is not.
    copies = 4 * sum(rows for rows, _ in shape.linear_sizes) if work.lora_rank and work.weight_bytes < 4 else 0
    return float(tokens * (numbers * work.weight_bytes + norms + copies) + scores)

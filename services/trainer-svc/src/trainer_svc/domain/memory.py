"""How much memory a job will need at its peak, from the model's shape and the job's settings.

States of weights: 4 bytes each of gradient and master weight and 8 of Adam for what is trained (Rajbhandari et al.
2020, "ZeRO", section 3.1), shared as their stages 2 and 3 do. Activations: Korthikanti et al. 2022, "Reducing
Activation Recomputation in Large Transformer Models", equation 1 without the quadratic term, which fused attention
does not store, and with the MLP of gated units. NF4 weights: 4.127 bits (Dettmers et al. 2023, "QLoRA").
"""

import math
from dataclasses import dataclass

from loopwright.contracts.jobs import JobKind
from loopwright.contracts.tasks import Hyperparameters, Method, Objective

_NF4_BYTES = 4.127 / 8
_PROCESS_BYTES = {"cpu": 700_000_000, "cuda": 1_200_000_000}  # Python with torch and trl; the CUDA context
_WIDTH = {"cpu": 4, "cuda": 2}  # bytes of a number; a CPU without bfloat16 computes in float32
_MOST_TOKENS = 1 << 24  # of a sequence, and sequences of a batch: keeps absurd settings within what can be computed
ADVICE = (
    "use a smaller batch_size with more gradient_accumulation_steps, a shorter max_seq_length, LoRA or QLoRA instead"
    " of full fine-tuning, or gradient_checkpointing"
)


@dataclass(frozen=True, kw_only=True)
class ModelShape:
    """A decoder, as its configuration describes it.

    Attributes:
        mlp: Width of a feed-forward layer.
        experts: Feed-forward blocks a layer; 1 where there is no mixture.
        tied: Input and output embeddings are the same weights.
    """

    vocabulary: int
    hidden: int
    layers: int
    heads: int
    kv_heads: int
    head_size: int
    mlp: int
    experts: int = 1
    tied: bool = True

    @property
    def embedding_parameters(self) -> int:
        return self.vocabulary * self.hidden * (1 if self.tied else 2)

    @property
    def linear_parameters(self) -> int:
        return self.layers * sum(rows * columns for rows, columns in self._linears())

    @property
    def parameters(self) -> int:
        return self.embedding_parameters + self.linear_parameters

    def adapter_parameters(self, rank: int) -> int:
        """Of LoRA on all linear layers."""
        return self.layers * sum(rank * (rows + columns) for rows, columns in self._linears())

    def _linears(self) -> list[tuple[int, int]]:
        queries, keys = self.heads * self.head_size, self.kv_heads * self.head_size
        attention = [(self.hidden, queries), (self.hidden, keys), (self.hidden, keys), (queries, self.hidden)]
        return attention + [(self.hidden, self.mlp)] * 3 * self.experts


@dataclass(frozen=True, kw_only=True)
class Undertaking:
    """What of a job decides how much memory and time it takes.

    Attributes:
        mean_sample_bytes: Of the training split. A batch is as long as its longest sample: it is taken to have no more
            tokens than the mean one has bytes, which is about four times the mean.
    """

    kind: JobKind
    method: Method
    objective: Objective
    hyperparameters: Hyperparameters
    device_count: int = 1
    mean_sample_bytes: float | None = None

    @property
    def longest_tokens(self) -> int:
        longest = self.hyperparameters.max_seq_length
        if self.mean_sample_bytes is None or self.hyperparameters.packing:
            return longest
        return min(longest, math.ceil(self.mean_sample_bytes))


def peak_bytes(work: Undertaking, shape: ModelShape, *, device: str, teacher: ModelShape | None = None) -> int:
    """Estimated peak on each device.

    Args:
        device: Its kind: `cpu` or `cuda`.
        teacher: Model that is distilled.
    """
    width = _WIDTH[device]
    if work.kind is not JobKind.TRAIN:
        return _PROCESS_BYTES[device] + shape.parameters * width
    chosen = work.hyperparameters
    trained = shape.parameters if work.method == "full" else shape.adapter_parameters(chosen.lora_rank)
    frozen = _frozen_bytes(work, shape, width)
    shared = work.device_count if chosen.sharding in ("zero2", "zero3", "fsdp2") else 1
    split = work.device_count if chosen.sharding in ("zero3", "fsdp2") else 1
    weights = (frozen + 4 * trained) / split
    states = 12 * trained / shared
    taught = 0 if teacher is None else teacher.parameters * width
    return int(_PROCESS_BYTES[device] + weights + states + taught + _activation_bytes(work, shape, device))


def _frozen_bytes(work: Undertaking, shape: ModelShape, width: int) -> float:
    """Weights that do not change, the reference of DPO and KTO included where it is no adapter away."""
    if work.method == "full":
        return 4 * shape.parameters if work.objective in ("dpo", "kto") else 0
    if work.method == "qlora":
        return _NF4_BYTES * shape.linear_parameters + width * shape.embedding_parameters
    return width * shape.parameters


def _activation_bytes(work: Undertaking, shape: ModelShape, device: str) -> int:
    chosen, width = work.hyperparameters, _WIDTH[device]
    pairs = 2 if work.objective in ("dpo", "kto") else 1  # chosen and rejected; answers and those of other prompts
    tokens = min(chosen.batch_size, _MOST_TOKENS) * min(work.longest_tokens, _MOST_TOKENS) * pairs
    recomputed = device == "cuda" if chosen.gradient_checkpointing is None else chosen.gradient_checkpointing
    a_layer = tokens * (17 * shape.hidden + 8 * shape.mlp) * width // 2
    inputs = tokens * shape.hidden * width
    layers = a_layer + shape.layers * inputs if recomputed else shape.layers * a_layer
    logits = tokens * shape.vocabulary * (width + 8)  # as computed, in float32 for the loss, and their gradient
    return layers + logits

"""A keyed watermark in weights: what it is, and how anybody with the key finds it. It needs neither torch nor data.

Spread spectrum (Cox, Kilian, Leighton and Shamoon 1997): a secret key, the owner's id and a tensor's name give a sign
±1 for every weight; the change that fine-tuning made correlates with these signs if, and only if, it was marked. The
mark lies in what was learned (the merged weights less the base, for an adapter scale·B·A), so merging keeps it.
Uchida et al. 2017 project weights by a secret matrix, too, but must train with the mark; EmMark (Zhang and Koushanfar
2024) chooses few integer weights of a quantised model, while ours must outlive rounding of any kind.

For weights that know nothing of the key, z is a sum of independent signs, each with a known weight, the squares of which
add up to one, whatever the weights are. Its tail is therefore not estimated but bounded: P(z ≥ t) ≤ exp(-t²/2)
(Hoeffding 1963). One assumption is left: that the keyed stream (ChaCha20 under a BLAKE2b key) looks like fair coins.
Who has the key can remove the mark; who permutes or rotates the weights of equivalent models hides it. Who tries many
owners must divide the wanted p by their number.
"""

import hashlib
import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from loopwright.errors import InvalidPayload
from loopwright.tensor_files import Floats, Weights, matrices, rounded

SCHEME = "loopwright-spread-spectrum-1"
KEY_BYTES = 32
WANTED_P = 1e-6
ADAPTER_FILE = "adapter_model.safetensors"
_ADAPTER_CONFIG = "adapter_config.json"
_PREFIX = "base_model.model."


@dataclass(frozen=True)
class Pattern:
    """The signs of one owner under one key.

    Attributes:
        key: Secret, at least 32 random bytes.
        owner_id: Whose mark it is: the job that made the model.
    """

    key: bytes = field(repr=False)
    owner_id: str

    def __post_init__(self) -> None:
        if not KEY_BYTES <= len(self.key) <= hashlib.blake2b.MAX_KEY_SIZE:
            raise ValueError(f"a watermark key has {KEY_BYTES} to {hashlib.blake2b.MAX_KEY_SIZE} bytes")

    @property
    def key_id(self) -> str:
        """Tells keys apart and says nothing about them."""
        return hashlib.blake2b(key=self.key, digest_size=8, person=b"lpw-mark-key-id").hexdigest()

    def signs(self, tensor: str, shape: tuple[int, int], blocks: Iterable[slice]) -> Iterator[Floats]:
        """Signs ±1 of a tensor, `[rows, columns]` for each of its blocks of rows in order."""
        columns = shape[1]
        width = -(-columns // 8)
        stream = self.stream(tensor, "sign")
        for block in blocks:
            rows = block.stop - block.start
            packed = np.frombuffer(stream.update(bytes(rows * width)), dtype=np.uint8).reshape(rows, width)
            bits = np.unpackbits(packed, axis=1, count=columns)
            yield bits.astype(np.float32) * 2 - 1

    def stream(self, tensor: str, purpose: str) -> "Stream":
        """Keyed bytes for one tensor and purpose."""
        name = json.dumps([self.owner_id, tensor, purpose]).encode()
        seed = hashlib.blake2b(name, key=self.key, digest_size=32, person=b"lpw-mark-stream").digest()
        return Stream(seed)


class Stream:
    """The key stream of ChaCha20."""

    def __init__(self, seed: bytes) -> None:
        self._encryptor = Cipher(algorithms.ChaCha20(seed, bytes(16)), mode=None).encryptor()

    def update(self, zeros: bytes) -> bytes:
        return self._encryptor.update(zeros)


@dataclass(frozen=True)
class Evidence:
    """How a tensor's change correlates with a pattern.

    Attributes:
        correlation: Sum of sign times change.
        energy: Sum of squared changes.
        weights: How many there are.
    """

    correlation: float
    energy: float
    weights: int

    @property
    def scaled(self) -> float:
        """Correlation as if the changes had a root mean square of one: no tensor drowns the others."""
        return self.correlation / math.sqrt(self.energy / self.weights) if self.energy else 0.0


@dataclass(frozen=True)
class Score:
    """What the verifier says.

    Attributes:
        z: Standard normal for weights that know nothing of the key.
        weights: Weights that it rests on.
    """

    z: float
    weights: int

    @property
    def p_bound(self) -> float:
        """Probability of such a z by chance, at most (Hoeffding's bound; the normal tail is smaller still)."""
        return math.exp(-self.z * self.z / 2) if self.z > 0 else 1.0

    @property
    def detected(self) -> bool:
        return self.p_bound < WANTED_P


def score_of(evidence: Iterable[Evidence]) -> Score:
    """All tensors together; those that did not change say nothing."""
    changed = [entry for entry in evidence if entry.energy]
    weights = sum(entry.weights for entry in changed)
    return Score(sum(entry.scaled for entry in changed) / math.sqrt(weights) if weights else 0.0, weights)


@dataclass(frozen=True)
class LowRank:
    """What an adapter adds to one matrix: scale · up · down.

    Attributes:
        down: A of LoRA, `[rank, in]`.
        up: B of LoRA, `[out, rank]`.
    """

    down: Weights
    up: Weights
    scale: float

    @property
    def shape(self) -> tuple[int, int]:
        return self.up.shape[0], self.down.shape[1]

    def blocks(self) -> Iterator[slice]:
        """Blocks of rows in which the product is worked on."""
        return Weights(self.up.file, self.shape, "F32", 0).blocks()


class _LoraConfig(BaseModel):
    """What of `adapter_config.json` decides how far its delta goes (PEFT); the score does not depend on it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    lora_alpha: float = Field(gt=0, allow_inf_nan=False)
    use_rslora: bool = False
    fan_in_fan_out: bool = False

    def scale(self, rank: int) -> float:
        """Alpha over rank, or over its root (rsLoRA)."""
        return self.lora_alpha / (math.sqrt(rank) if self.use_rslora else rank)


def low_rank_changes(folder: Path) -> dict[str, LowRank]:
    """The products that a LoRA adapter adds, by the name of the tensor that each is added to.

    Raises:
        InvalidPayload: the folder holds no LoRA adapter that could be read.
    """
    try:
        config = _LoraConfig.model_validate_json((folder / _ADAPTER_CONFIG).read_bytes())
    except (OSError, ValidationError) as error:
        raise InvalidPayload("weights.no-adapter", f"{folder.name} holds no LoRA adapter") from error
    if config.fan_in_fan_out:
        raise InvalidPayload("weights.no-adapter", "adapters of transposed (Conv1D) layers cannot be read")
    found = matrices(folder)
    changes: dict[str, LowRank] = {}
    for name, up in found.items():
        module, at, _ = name.partition(".lora_B.weight")
        down = found.get(f"{module}.lora_A.weight")
        if at and down is not None and down.shape[0] == up.shape[1]:
            module = module.removeprefix(_PREFIX)
            changes[f"{module}.weight"] = LowRank(down, up, config.scale(up.shape[1]))
    return changes


def evidence_in_adapter(change: LowRank, pattern: Pattern, tensor: str) -> Evidence:
    """Correlation of scale·up·down with the signs; the product itself is never written out."""
    return evidence_of(change, keyed_projection(change, pattern, tensor, change.down.read().T))


def evidence_of(change: LowRank, seen: NDArray[np.float64]) -> Evidence:
    """The same, if the signs times downᵀ, `[out, rank]`, are known already."""
    down, up = change.down.read().astype(np.float64), change.up.read().astype(np.float64)
    energy = float(np.sum((up.T @ up) * (down @ down.T)))
    rows, columns = change.shape
    return Evidence(change.scale * float(np.sum(seen * up)), change.scale**2 * max(energy, 0.0), rows * columns)


def keyed_projection(change: LowRank, pattern: Pattern, tensor: str, columns: Floats) -> NDArray[np.float64]:
    """Signs `[out, in]` times columns `[in, k]`."""
    blocks = [signs @ columns for signs in pattern.signs(tensor, change.shape, change.blocks())]
    return np.concatenate(blocks).astype(np.float64)


def evidence_in_matrix(weights: Weights, pattern: Pattern, tensor: str, *, base: Weights | None) -> Evidence:
    """Correlation of the change from the base, or of the weights themselves if there is no base.

    The base is rounded to the precision of the weights first: their common rounding error is then no change.
    """
    correlation = energy = 0.0
    for block, signs in zip(weights.blocks(), pattern.signs(tensor, weights.shape, weights.blocks()), strict=True):
        change = weights.read(block)
        if base is not None:
            change -= rounded(base.read(block), weights.precision)
        correlation += float(np.sum(signs * change, dtype=np.float64))
        energy += float(np.sum(np.square(change), dtype=np.float64))
    return Evidence(correlation, energy, weights.shape[0] * weights.shape[1])


def score_adapter(folder: Path, pattern: Pattern) -> Score:
    """Looks for a mark in an adapter alone.

    Raises:
        InvalidPayload: it cannot be read.
    """
    changes = low_rank_changes(folder)
    return score_of(evidence_in_adapter(change, pattern, tensor) for tensor, change in changes.items())


def score_model(folder: Path, pattern: Pattern, *, base: Path | None = None) -> Score:
    """Looks for a mark in whole weights.

    Args:
        base: Folder of what they were before. Without it only a mark that full fine-tuning got can be found: that of a
            merged adapter is far smaller than the weights that it drowns in.

    Raises:
        InvalidPayload: they cannot be read.
    """
    before = {} if base is None else matrices(base)
    found = {
        name: weights for name, weights in matrices(folder).items() if _comparable(weights, before.get(name), base)
    }
    return score_of(evidence_in_matrix(w, pattern, name, base=before.get(name)) for name, w in found.items())


def _comparable(weights: Weights, before: Weights | None, base: Path | None) -> bool:
    return base is None or (before is not None and before.shape == weights.shape)


def score_folder(folder: Path, pattern: Pattern, *, base: Path | None = None) -> Score:
    """Looks for a mark in whatever the folder holds: an adapter, or whole weights.

    Raises:
        InvalidPayload: it cannot be read.
    """
    if (folder / ADAPTER_FILE).exists():
        return score_adapter(folder, pattern)
    return score_model(folder, pattern, base=base)

"""Marks what was just learned with the owner's keyed pattern (`loopwright.watermark` finds it again).

The mark is as weak as the wanted z allows, for the embedder knows what it disturbs (informed embedding: Miller, Doërr and
Cox 2004): z before marking is measured, and only what lacks is added. Training is over when this runs: losses that were
reported before it are those of the unmarked weights.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from scipy.optimize import brentq

from loopwright.tensor_files import Floats, Weights, matrices, rounded
from loopwright.watermark import (
    ADAPTER_FILE,
    SCHEME,
    Evidence,
    LowRank,
    Pattern,
    Score,
    evidence_in_matrix,
    evidence_of,
    keyed_projection,
    low_rank_changes,
    score_adapter,
    score_model,
    score_of,
)
from trainer_svc.recipes.failures import TrainingFailed

RECORD_FILE = "watermark.json"
# 5.26 is p < 1e-6; the rest is for what follows: 8-bit rounding of merged weights leaves about half of an adapter's z,
# while all of a whole model's outlives it (bench/watermark.py)
WANTED_ADAPTER_Z, WANTED_MODEL_Z = 12.0, 8.0
_MOST_OF_DELTA = 0.1  # of an adapter's change; more could be heard in its answers
_MOST_OF_WEIGHTS = 0.01  # of whole weights; 8-bit quantisation changes as much
_SINGULAR = 1e-3  # directions of A this much weaker than its strongest carry no mark
_BFLOAT16_STEPS = 7  # stored bits of a bfloat16 fraction


class WatermarkRecord(BaseModel):
    """What was embedded, and how far it was changed for it; kept beside the weights, and says nothing about the key."""

    model_config = ConfigDict(frozen=True)

    scheme: str = Field(default=SCHEME, description="how to look for it")
    owner_id: str = Field(description="job whose mark it is")
    key_id: str = Field(description="key that finds it")
    wanted_z: float = Field(description="asked for, also after rounding to bfloat16 where that could be foreseen")
    z: float = Field(description="measured in the files after marking")
    p_bound: float = Field(description="probability of such a z without a mark, at most")
    merged_z: float | None = Field(
        default=None, description="measured on the adapter added to its base in bfloat16; None: no base was at hand"
    )
    change_0_1: float = Field(
        description="norm of the mark over that of what it lies in: the adapter's delta, or weights"
    )
    tensors: int = Field(description="matrices that carry it")
    weights: int = Field(description="weights that z rests on")

    @property
    def detectable(self) -> bool:
        """Whether the verifier will find it, in merged weights too; a model of few weights may be too small for it."""
        return all(Score(z, self.weights).detected for z in (self.z, self.merged_z) if z is not None)


def mark_folder(folder: Path, pattern: Pattern, *, base: Path | None = None) -> WatermarkRecord:
    """Marks the adapter or the whole model in a folder and writes `watermark.json` beside it.

    Only the folder's own weights change; nobody may read them meanwhile, so mark before the folder gets its name.

    Args:
        base: Folder of the model that an adapter belongs to: the mark is then made as strong as rounding of the merged
            weights to bfloat16 demands. Weights in other files than safetensors are not looked at.

    Raises:
        TrainingFailed: nothing was learned that could carry a mark.
        InvalidPayload: the weights cannot be read.
    """
    if (folder / ADAPTER_FILE).exists():
        record = mark_adapter(folder, pattern, base=base)
    else:
        record = mark_model(folder, pattern)
    (folder / RECORD_FILE).write_text(record.model_dump_json(indent=1) + "\n")
    return record


@dataclass(frozen=True)
class _Room:
    """What one matrix of an adapter can carry: its mark is `strength` times the signs projected on the rows of A.

    Attributes:
        before: Evidence without a mark.
        direction: Signs times the pseudo-inverse of A, `[out, rank]`: times A, that projection; nearest to the signs
            of all that an adapter with this A can say, so no mark of equal z changes less.
        power: Squared norm of the projection, which is also its correlation with the signs.
        kept_0_1: Share of the correlation that is expected to outlive rounding of the merged weights.
    """

    change: LowRank
    before: Evidence
    direction: NDArray[np.float64]
    power: float
    kept_0_1: float

    @property
    def size(self) -> float:
        """Root mean square of the learned change."""
        return math.sqrt(self.before.energy / self.before.weights)

    def marked(self, share: float) -> Evidence:
        """Evidence with a mark of `share` times the learned change per weight, before rounding."""
        strength = share * self.size
        # the learned change lies in the rows of A, so its product with the projection is that with the signs
        energy = self.before.energy + 2 * strength * self.before.correlation + strength**2 * self.power
        return Evidence(self.before.correlation + strength * self.power, energy, self.before.weights)


def mark_adapter(
    folder: Path, pattern: Pattern, *, base: Path | None = None, wanted_z: float = WANTED_ADAPTER_Z
) -> WatermarkRecord:
    """Marks a LoRA adapter by a change of B alone; see `mark_folder`."""
    before = {} if base is None or not any(base.glob("*.safetensors")) else matrices(base)
    rooms = {
        tensor: _room(change, pattern, tensor, before.get(tensor))
        for tensor, change in low_rank_changes(folder).items()
    }
    rooms = {tensor: room for tensor, room in rooms.items() if room.before.energy}
    if not rooms:
        reason = "the adapter changes nothing: there is nothing that a watermark could be part of"
        raise TrainingFailed("training.nothing-learned", reason, advice="look at learning rate and data of the job")
    share = _least_share(rooms, wanted_z)
    for room in rooms.values():
        up = room.change.up
        up.write((up.read() + share * room.size / room.change.scale * room.direction).astype(np.float32))
    mark = sum((share * room.size) ** 2 * room.power for room in rooms.values())
    learned = sum(room.before.energy for room in rooms.values())
    merged = _merged_score({tensor: room.change for tensor, room in rooms.items()}, pattern, before)
    return _record(pattern, score_adapter(folder, pattern), wanted_z, math.sqrt(mark / learned), merged, len(rooms))


def _room(change: LowRank, pattern: Pattern, tensor: str, base: Weights | None) -> _Room:
    down = change.down.read()
    seen = keyed_projection(change, pattern, tensor, down.T)
    gram = down.astype(np.float64) @ down.T.astype(np.float64)
    direction = seen @ np.asarray(np.linalg.pinv(gram, rcond=_SINGULAR**2, hermitian=True), np.float64)
    kept = 1.0 if base is None else _kept_by_rounding(change, base)
    return _Room(change, evidence_of(change, seen), direction, float(np.sum(direction * seen)), kept)


def _least_share(rooms: Mapping[str, _Room], wanted_z: float) -> float:
    """Weakest mark, as a share of the learned change per weight, with the wanted z after rounding."""
    learned = sum(room.before.energy for room in rooms.values())
    carried = sum(room.size**2 * room.power for room in rooms.values())
    most = _MOST_OF_DELTA * math.sqrt(learned / carried)
    survived = sum(room.power * room.kept_0_1 for room in rooms.values()) / sum(room.power for room in rooms.values())

    def lacking(share: float) -> float:
        return score_of(room.marked(share) for room in rooms.values()).z * survived - wanted_z

    return _root(lacking, most)


def _root(lacking: Callable[[float], float], most: float) -> float:
    if lacking(0.0) >= 0:
        return 0.0
    return most if lacking(most) <= 0 else cast("float", brentq(lacking, 0.0, most))


def _kept_by_rounding(change: LowRank, base: Weights) -> float:
    """Cosine between the learned change and what bfloat16 leaves of it once it is added to the base.

    By Bussgang's theorem (1952) a small part of the change, such as the mark, is passed on by the same factor. The first
    block of rows, some million weights, tells it well enough.
    """
    delta, remains = _remaining(change, base, next(change.blocks()))
    lengths = float(np.linalg.norm(delta)) * float(np.linalg.norm(remains))
    return float(np.sum(delta * remains, dtype=np.float64)) / lengths if lengths else 0.0


def _remaining(change: LowRank, base: Weights, block: slice) -> tuple[Floats, Floats]:
    """A block of rows of the delta, and of the difference that it makes to bfloat16 weights."""
    delta = (change.scale * (change.up.read(block) @ change.down.read())).astype(np.float32)
    weights = base.read(block)
    return delta, rounded(weights + delta, "BF16") - rounded(weights, "BF16")


def _merged_score(changes: Mapping[str, LowRank], pattern: Pattern, base: Mapping[str, Weights]) -> float | None:
    """What the verifier will find in the merged model; None without its base."""
    found: list[Evidence] = []
    for tensor, change in changes.items():
        weights = base.get(tensor)
        if weights is None:
            continue
        correlation = energy = 0.0
        signs_of_blocks = pattern.signs(tensor, change.shape, change.blocks())
        for block, signs in zip(change.blocks(), signs_of_blocks, strict=True):
            remains = _remaining(change, weights, block)[1]
            correlation += float(np.sum(signs * remains, dtype=np.float64))
            energy += float(np.sum(np.square(remains), dtype=np.float64))
        found.append(Evidence(correlation, energy, change.shape[0] * change.shape[1]))
    return score_of(found).z if found else None


def mark_model(folder: Path, pattern: Pattern, *, wanted_z: float = WANTED_MODEL_Z) -> WatermarkRecord:
    """Marks all matrices of a whole model, so that no base is needed to find it; see `mark_folder`.

    A mark this weak is mostly smaller than half a step of bfloat16, which rounding would undo. So a weight is moved by a
    whole step, with the probability that makes the mean right (keyed, so that marking twice gives the same files).
    """
    found = matrices(folder)
    before = {name: evidence_in_matrix(weights, pattern, name, base=None) for name, weights in found.items()}
    score = score_of(before.values())
    if not score.weights:
        reason = "all weights are zero: there is nothing that a watermark could be part of"
        raise TrainingFailed("training.nothing-learned", reason, advice="look at the base model of the job")
    share = max(0.0, min((wanted_z - score.z) / math.sqrt(score.weights), _MOST_OF_WEIGHTS))
    mark = sum(_mark_matrix(weights, pattern, name, share, before[name]) for name, weights in found.items())
    whole = sum(evidence.energy for evidence in before.values())
    return _record(pattern, score_model(folder, pattern), wanted_z, math.sqrt(mark / whole), None, len(found))


def _mark_matrix(weights: Weights, pattern: Pattern, name: str, share: float, before: Evidence) -> float:
    """Adds the mark to one matrix.

    Returns:
        Squared norm of what was added.
    """
    amplitude = share * math.sqrt(before.energy / before.weights)
    chances = pattern.stream(name, "step")
    energy = 0.0
    for block, signs in zip(weights.blocks(), pattern.signs(name, weights.shape, weights.blocks()), strict=True):
        values = weights.read(block)
        chance = np.frombuffer(chances.update(bytes(2 * values.size)), dtype="<u2").reshape(values.shape) / 65536.0
        mark = (signs * _in_whole_steps(amplitude, _bfloat16_steps(values), chance)).astype(np.float32)
        weights.write(values + mark, block)
        energy += float(np.sum(np.square(mark), dtype=np.float64))
    return energy


def _in_whole_steps(amplitude: float, steps: Floats, chance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Amplitude rounded to steps, up or down by chance, so that its mean stays; as it is where steps do not matter."""
    fine = steps <= amplitude / 64
    number = amplitude / np.where(fine, 1, steps)
    whole = np.floor(number)
    return np.where(fine, amplitude, steps * (whole + (chance < number - whole)))


def _bfloat16_steps(values: Floats) -> Floats:
    """Distance from each value to the next one that bfloat16 knows, 0 for 0."""
    steps = np.ldexp(np.float32(1), np.frexp(values)[1] - 1 - _BFLOAT16_STEPS)
    return np.where(values == 0, np.float32(0), steps)


def _record(
    pattern: Pattern, score: Score, wanted_z: float, change: float, merged: float | None, tensors: int
) -> WatermarkRecord:
    return WatermarkRecord(
        owner_id=pattern.owner_id,
        key_id=pattern.key_id,
        wanted_z=wanted_z,
        z=score.z,
        p_bound=score.p_bound,
        merged_z=merged,
        change_0_1=change,
        tensors=tensors,
        weights=score.weights,
    )

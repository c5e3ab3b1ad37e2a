"""An experiment as assignment needs it: its arms, who may take part in it, and what one unit gets of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from loopwright.contracts.experiments import ExperimentKind
from router_svc.domain.assignment import Section, Split, section_of


class Absence(StrEnum):
    """Why a unit does not take part in an experiment."""

    EXCLUDED = "excluded"
    OUTSIDE_LAYER = "outside-layer"
    NOT_COVERED = "not-covered"


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One side of an experiment.

    Attributes:
        propensity_0_1: Probability with which a unit that takes part gets this arm.
    """

    variant_id: str
    weight_0_1: float
    propensity_0_1: float


def arms_of(weights: Sequence[tuple[str, float]]) -> tuple[Arm, ...]:
    """Arms of variants and weights, the champion's first: of two arms it has what the candidate leaves."""
    if len(weights) == 2:
        share = weights[1][1]
        shares = [1 - share, share]
    else:
        total = sum(weight for _, weight in weights)
        shares = [weight / total if total else float(not number) for number, (_, weight) in enumerate(weights)]
    return tuple(
        Arm(variant_id=variant_id, weight_0_1=weight, propensity_0_1=share)
        for (variant_id, weight), share in zip(weights, shares, strict=True)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerPart:
    """Part of a layer's units.

    Attributes:
        section: The same, ready to decide with.
    """

    name: str
    from_0_1: float
    to_0_1: float
    section: Section


def layer_part(name: str, *, salt: str, from_0_1: float, to_0_1: float) -> LayerPart:
    section = section_of(name, salt=salt, from_0_1=from_0_1, to_0_1=to_0_1)
    return LayerPart(name=name, from_0_1=from_0_1, to_0_1=to_0_1, section=section)


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """One experiment after its last change.

    Attributes:
        arms: The champion's first.
        hold_out: Units that take part in no experiment of the task.
        excluded: Hashes of units that do not take part in this one.
        forced: Hash of a tester's unit to the variant that it gets.
    """

    experiment_id: str
    task_id: str
    revision: int
    running: bool
    kind: ExperimentKind
    epoch: int
    arms: tuple[Arm, ...]
    split: Split
    coverage_0_1: float
    coverage: Section | None
    layer: LayerPart | None
    hold_out: LayerPart | None
    excluded: frozenset[str]
    forced: Mapping[str, str]

    @property
    def is_shadow(self) -> bool:
        """Nobody is shown an answer of its candidates."""
        return self.kind is ExperimentKind.SHADOW

    def absence_of(self, unit: bytes, unit_hash: str) -> Absence | None:
        """Why a unit does not take part; None if it does. The cheap questions first."""
        if unit_hash in self.excluded:
            return Absence.EXCLUDED
        if self.layer is not None and not self.layer.section.holds(unit):
            return Absence.OUTSIDE_LAYER
        if self.coverage is not None and not self.coverage.holds(unit):
            return Absence.NOT_COVERED
        return None

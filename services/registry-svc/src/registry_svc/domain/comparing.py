"""Versions side by side: cases that all of them answered, what differs in how they were made, whose answers changed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from pydantic import JsonValue

from loopwright.errors import Invalid
from registry_svc.domain.models import ModelVersion, VariantId
from registry_svc.domain.training_card import TrainingCard

MOST_VARIANTS: Final = 8


class Change(StrEnum):
    """How a case went for a version that went otherwise for the first one."""

    LOST = "lost"  # right before, wrong now
    GAINED = "gained"  # wrong before, right now
    CHANGED = "changed"  # either


@dataclass(frozen=True)
class CaseSet:
    """The same questions under the same rules.

    Attributes:
        task_version: Version of the task whose prompt and schema applied.
        sha256: Of the cases.
    """

    task_id: str
    task_version: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class AnsweredSet:
    """A finished evaluation in which a version answered a set of cases."""

    evaluation_id: str
    cases: CaseSet
    suite_id: str | None
    finished_at: datetime


@dataclass(frozen=True)
class Parameter:
    """One setting across versions, in their order; None where it is not known."""

    name: str
    values: tuple[JsonValue, ...]

    @property
    def differs(self) -> bool:
        return any(value != self.values[0] for value in self.values)


def read_variants(texts: Sequence[str]) -> tuple[VariantId, ...]:
    """The versions that are to be compared; the first is what the others are compared with.

    Raises:
        Invalid: fewer than two, too many, the same twice, or one is malformed.
    """
    variants = tuple(VariantId.parse(text) for text in texts)
    if not 2 <= len(variants) <= MOST_VARIANTS:
        raise Invalid("comparison.count", f"two to {MOST_VARIANTS} versions can be compared, not {len(variants)}")
    if len(set(variants)) != len(variants):
        raise Invalid("comparison.repeated", "a version cannot be compared with itself")
    return variants


def common_sets(answered: Sequence[Sequence[AnsweredSet]]) -> tuple[CaseSet, ...]:
    """Sets of cases that every version answered, the one answered last first.

    Args:
        answered: Of each version, newest first.
    """
    newest: dict[CaseSet, datetime] = {}
    for sets in answered:
        for one in sets:
            newest[one.cases] = max(newest.get(one.cases, one.finished_at), one.finished_at)
    shared = set(newest).intersection(*({one.cases for one in sets} for sets in answered))
    return tuple(sorted(shared, key=lambda cases: (newest[cases], cases.sha256), reverse=True))


def choose(common: Sequence[CaseSet], *, sha256: str | None) -> CaseSet | str:
    """The set to compare on; text says why there is none.

    Args:
        sha256: Of the cases that are wanted; None for those answered last.
    """
    if not common:
        return "no cases were answered by all of these versions: evaluate them on the same suite"
    if sha256 is None:
        return common[0]
    wanted = (cases for cases in common if cases.sha256 == sha256)
    return next(wanted, f"not all of these versions answered the cases {sha256}")


def newest_of(answered: Sequence[AnsweredSet], cases: CaseSet) -> AnsweredSet:
    """The newest evaluation of a version on a set that it has answered."""
    return next(one for one in answered if one.cases == cases)


def changes(first: Mapping[int, bool], other: Mapping[int, bool], change: Change) -> tuple[int, ...]:
    """Numbers of the cases that went so for the other version.

    Args:
        first: Whether a case was answered right, by its number.
    """
    both = sorted(first.keys() & other.keys())
    lost = {number for number in both if first[number] and not other[number]}
    gained = {number for number in both if other[number] and not first[number]}
    wanted = {Change.LOST: lost, Change.GAINED: gained, Change.CHANGED: lost | gained}[change]
    return tuple(number for number in both if number in wanted)


def parameters_of(models: Sequence[ModelVersion]) -> tuple[Parameter, ...]:
    """What the versions were made with, as their own cards say, every name that one of them has."""
    described = [_described(model) for model in models]
    names = list(dict.fromkeys(name for one in described for name in one))
    return tuple(Parameter(name, tuple(one.get(name) for one in described)) for name in names)


def _described(model: ModelVersion) -> dict[str, JsonValue]:
    card = model.training_card
    own: dict[str, JsonValue] = {"base_model": model.base_model, "format": str(model.format)}
    return own if card is None else own | _of_card(card)


def _of_card(card: TrainingCard) -> dict[str, JsonValue]:
    facts: dict[str, JsonValue] = {
        "method": card.method,
        "objective": card.objective,
        "train_samples": card.train_samples,
        "validation_samples": card.validation_samples,
        "steps": card.steps,
        "final_loss": card.final_loss,
        "eval_loss": card.eval_loss,
        "train_seconds": card.train_seconds,
        "precision": card.precision,
        "device": card.device,
        "code_version": card.code_version,
    }
    if card.hyperparameters is not None:
        facts |= {
            f"hyperparameters.{name}": value for name, value in card.hyperparameters.model_dump(mode="json").items()
        }
    return {name: value for name, value in facts.items() if value is not None}

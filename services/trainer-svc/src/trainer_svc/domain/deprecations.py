"""Dataset versions that must not be learned from any more, and what that means for jobs on them."""

from dataclasses import replace

from pydantic import Field

from loopwright.contracts.base import Moment, RunState, Value
from loopwright.contracts.datasets import DatasetDeprecated, DeprecationReason
from trainer_svc.domain.jobs import Ending


class DataDeprecation(Value):
    """Why a dataset version must not be learned from any more."""

    reason: DeprecationReason = Field(description="`erasure` of a person's data, or an `operator`'s decision")
    detail: str = Field(description="the reason in one sentence, for people")
    deprecated_at: Moment = Field(description="when")


def deprecation_of(event: DatasetDeprecated) -> DataDeprecation:
    return DataDeprecation(reason=event.reason, detail=event.detail, deprecated_at=event.deprecated_at)


def outweighs(new: DataDeprecation, known: DataDeprecation | None) -> bool:
    """Whether a new word replaces what is known: an erasure does an operator's decision, else the first word stands."""
    if known is None:
        return True
    return new.reason is DeprecationReason.ERASURE and known.reason is not DeprecationReason.ERASURE


def refusal(version_id: str, deprecation: DataDeprecation) -> str:
    """Why a job on such a version is not run, in one sentence."""
    return f"dataset version {version_id} must not be trained on ({deprecation.reason}): {deprecation.detail}"


def ending_on(ending: Ending, *, version_id: str, deprecation: DataDeprecation | None) -> Ending:
    """How an attempt on such a version ends: neither stopped nor given back to the queue without saying why.

    What had succeeded or failed before the word came stays so; its mark says the rest.
    """
    if deprecation is None or ending.state not in (RunState.STOPPED, RunState.QUEUED):
        return ending
    return replace(ending, state=RunState.STOPPED, reason=refusal(version_id, deprecation))

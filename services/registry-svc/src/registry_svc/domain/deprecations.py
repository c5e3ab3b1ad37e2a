"""Dataset versions that must not be learned from any more, and what that means for models that did."""

from dataclasses import dataclass
from datetime import datetime

from loopwright.contracts.datasets import DatasetDeprecated, DeprecationReason
from loopwright.errors import Conflict


@dataclass(frozen=True, kw_only=True)
class DataDeprecation:
    """Why a dataset version must not be learned from any more.

    Attributes:
        detail: The reason in one sentence, for people.
    """

    reason: DeprecationReason
    detail: str
    deprecated_at: datetime

    @property
    def is_erasure(self) -> bool:
        return self.reason is DeprecationReason.ERASURE


def deprecation_of(event: DatasetDeprecated) -> DataDeprecation:
    return DataDeprecation(reason=event.reason, detail=event.detail, deprecated_at=event.deprecated_at)


def outweighs(new: DataDeprecation, known: DataDeprecation | None) -> bool:
    """Whether a new word replaces what is known: an erasure does an operator's decision, else the first word stands."""
    return known is None or (new.is_erasure and not known.is_erasure)


def why_not_served(name: str, deprecation: DataDeprecation | None) -> str | None:
    """Why what learned from such data must not be put before users; None if it may.

    Only an erasure forbids it: an operator who deprecates data decides about later training.
    """
    if deprecation is None or not deprecation.is_erasure:
        return None
    return f"{name} learned from data that was erased: {deprecation.detail}"


def check_may_serve(name: str, deprecation: DataDeprecation | None) -> None:
    """Refuses to put before users what learned from erased data.

    Raises:
        Conflict: it did.
    """
    refusal = why_not_served(name, deprecation)
    if refusal is not None:
        raise Conflict("model.data-erased", refusal, variant=name)

"""What a collecting run has seen, and what became of it."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Self

from pydantic import Field

from feedback_svc.domain.sources.source import Filtered, Outcome, Teaching
from loopwright.contracts.base import Value


class Counts(Value):
    """Figures of one run."""

    seen: dict[str, int] = Field(default_factory=dict[str, int], description="records, or batches of logs, by kind")
    used: dict[str, int] = Field(default_factory=dict[str, int], description="of these, what taught something")
    filtered: dict[str, int] = Field(default_factory=dict[str, int], description="what taught nothing, by reason")
    formed: int = Field(default=0, description="samples that are new, or say something else than before")
    withdrawn: int = Field(default=0, description="samples that nothing speaks for any more")

    def plus(self, other: "Counts") -> Self:
        return self.model_copy(
            update={
                "seen": _sum(self.seen, other.seen),
                "used": _sum(self.used, other.used),
                "filtered": _sum(self.filtered, other.filtered),
                "formed": self.formed + other.formed,
                "withdrawn": self.withdrawn + other.withdrawn,
            }
        )


def tally(kinds: Iterable[str], outcomes: Iterable[Outcome], *, formed: int = 0, withdrawn: int = 0) -> Counts:
    """Figures of one part of a run."""
    outcomes = list(outcomes)
    used = Counter(
        name.split("/", 1)[0] for one in outcomes if isinstance(one, Teaching) for name in one.origin.records
    )
    filtered = Counter(one.reason for one in outcomes if isinstance(one, Filtered))
    return Counts(
        seen=dict(Counter(kinds)), used=dict(used), filtered=dict(filtered), formed=formed, withdrawn=withdrawn
    )


def _sum(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    return dict(Counter(one) + Counter(other))

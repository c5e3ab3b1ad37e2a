"""Ratings: which of them count, on what scale, and what they say of an answer."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import Meta

from loopwright.contracts.inferences import LARGEST_VALUE
from loopwright.contracts.tasks import MetricKind, SuccessMetric


class Rating(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What one rater said once of one inference.

    Attributes:
        unit_hash: Unit that was assigned when the inference was made; the unit of analysis.
        rater_hash: Who rated; the unit itself unless said otherwise.
        value: Position on the metric's scale; None if the rater only commented or corrected.
        traceparent: Trace in which it came, which goes on in what it teaches.
        epoch: Epoch of the experiment, as the signed id says.
        arm: Arm of the experiment, likewise.
    """

    rating_id: str
    inference_id: str
    task_id: str
    experiment_id: str | None = None
    variant_id: str
    unit_hash: str
    rater_hash: str
    metric: str
    value: float | None = None
    comment: Annotated[str, Meta(max_length=10_000)] | None = None
    correction: Annotated[str, Meta(max_length=100_000)] | None = None
    rated_at: Annotated[datetime, Meta(tz=True)]
    traceparent: str | None = None
    epoch: Annotated[int, Meta(ge=1)] | None = None
    arm: Annotated[int, Meta(ge=0, le=9)] | None = None
    tenant: str | None = None

    @property
    def identifiers(self) -> tuple[str | None, ...]:
        """Everything that the contract calls an identifier."""
        return (
            self.rating_id, self.inference_id, self.task_id, self.variant_id, self.unit_hash, self.rater_hash,
            self.metric, self.experiment_id, self.tenant,
        )  # fmt: skip

    @property
    def seat(self) -> tuple[str, str, bool]:
        """The latest rating in a seat counts: one per rater, metric, and whether a value was given.

        A correction that comes without a value must not unseat the stars before it: bad ratings would vanish from the
        statistics of exactly those answers that are corrected.
        """
        return (self.rater_hash, self.metric, self.value is not None)

    @property
    def order(self) -> tuple[datetime, str]:
        """Later ratings sort later; the id decides between equal times, the same way in any order of arrival."""
        return (self.rated_at, self.rating_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """Whether a new rating counts, and which standing one counts no longer because of it."""

    counts: bool
    unseats: Rating | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Seating:
    """What becomes of the ratings of one inference when new ones arrive.

    Attributes:
        standing: Those that count from now on.
        admitted: New ones among them.
        unseated: Earlier ones that count no longer.
    """

    standing: tuple[Rating, ...]
    admitted: tuple[Rating, ...]
    unseated: tuple[Rating, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Criteria:
    """What a task takes for a good answer.

    Attributes:
        min_stars: A rating in stars endorses from here on.
    """

    success: SuccessMetric
    min_stars: float


class Opinion(StrEnum):
    """What a rating says of the answer that the model gave."""

    ENDORSES = "endorses"
    OBJECTS = "objects"
    SILENT = "silent"


def admit(new: Rating, standing: Sequence[Rating], *, success: SuccessMetric) -> Admission:
    """Decides over a new rating of an inference, whatever the order of arrival.

    Args:
        standing: Ratings of the same inference that count now.
    """
    if new.value is not None and not is_on_scale(new.value, kind_of(new.metric, success)):
        return Admission(counts=False)
    holder = next((rating for rating in standing if rating.seat == new.seat), None)
    if holder is not None and holder.order >= new.order:
        return Admission(counts=False)
    return Admission(counts=True, unseats=holder)


def seat(new: Sequence[Rating], standing: Sequence[Rating], *, success: SuccessMetric) -> Seating:
    """Admits new ratings of one inference, which may come in any order."""
    now = list(standing)
    for rating in new:
        admission = admit(rating, now, success=success)
        if admission.counts:
            now = [*(other for other in now if other is not admission.unseats), rating]
    return Seating(
        standing=tuple(now),
        admitted=tuple(rating for rating in now if rating not in standing),
        unseated=tuple(rating for rating in standing if rating not in now),
    )


def kind_of(metric: str, success: SuccessMetric) -> MetricKind:
    """The scale of a metric; a metric that the task does not know may have any number."""
    if metric == success.name:
        return success.kind
    known = {str(kind): kind for kind in (MetricKind.STARS, MetricKind.THUMB)}
    return known.get(metric, MetricKind.FLOAT)


def is_on_scale(value: float, kind: MetricKind) -> bool:
    match kind:
        case MetricKind.STARS:
            return 1 <= value <= 5
        case MetricKind.THUMB | MetricKind.BOOLEAN:
            return value in {0, 1}
        case MetricKind.FLOAT:
            return abs(value) <= LARGEST_VALUE


def opinion_of(rating: Rating, criteria: Criteria) -> Opinion:
    """What a rating's value says; a plain number says nothing, for nobody declared which numbers are good."""
    if rating.value is None:
        return Opinion.SILENT
    success = criteria.success
    kind = kind_of(rating.metric, success)
    if kind is MetricKind.FLOAT:
        return Opinion.SILENT
    good = rating.value >= (criteria.min_stars if kind is MetricKind.STARS else 1)
    if rating.metric == success.name and not success.higher_is_better:
        good = not good
    return Opinion.ENDORSES if good else Opinion.OBJECTS

"""Sufficient statistics of one arm in one epoch: everything that an analysis asks for, and nothing per user.

The user is the unit: an arm is summed up over its users' mean ratings, one account one vote. All parts are integers
that add up, so that counting one by one, in any order, gives what counting all at once gives.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from feedback_svc.domain.statistics.moments import MeanMoments, PairMoments, ProportionMoments, RatioMoments
from feedback_svc.domain.statistics.users import UserMoments

BINS = 241  # of user means: on five stars, steps of 1/60 hold the mean of 1 to 6 ratings exactly
EMPTY_HISTOGRAM = (0,) * BINS
NAMED_NOTHING: Mapping[str, MeanMoments | ProportionMoments] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """Range of a metric; values beyond it count as its ends in what rests on ranks, and nowhere else."""

    low: float = 1.0
    high: float = 5.0

    def histogram_of(self, values: Sequence[float]) -> tuple[int, ...]:
        """How many of the values lie nearest to each of the points."""
        if not values:
            return EMPTY_HISTOGRAM
        shares = (np.array(values) - self.low) / (self.high - self.low)
        places = np.rint(np.clip(shares, 0.0, 1.0) * (BINS - 1)).astype(np.int64)
        return tuple(np.bincount(places, minlength=BINS).tolist())

    def value_of(self, position: int) -> float:
        return self.low + (self.high - self.low) * position / (BINS - 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmEpoch:
    """One arm in one epoch.

    Attributes:
        units: Units that were assigned to it and exposed, rated or not.
        tenured: Users' mean ratings beside their means before exposure, of users who had rated before it.
        fresh: Users' mean ratings, of those who had not.
        ratio: Sums and numbers of users' ratings.
        histogram: Users by mean rating, on the `BINS` points of the metric's scale.
        by_day: Users' mean ratings by whole days since exposure, day 0 first; empty if nobody keeps them.
        guardrails: What else is watched, per user or per request, by name.
    """

    units: int = 0
    tenured: PairMoments = field(default_factory=PairMoments)
    fresh: MeanMoments = field(default_factory=MeanMoments)
    ratio: RatioMoments = field(default_factory=RatioMoments)
    histogram: tuple[int, ...] = EMPTY_HISTOGRAM
    by_day: tuple[MeanMoments, ...] = ()
    guardrails: Mapping[str, MeanMoments | ProportionMoments] = field(default_factory=lambda: NAMED_NOTHING)

    @property
    def users(self) -> int:
        """Units with ratings that count."""
        return self.tenured.count + self.fresh.count

    @property
    def ratings(self) -> int:
        """Ratings that count."""
        return self.ratio.number

    @property
    def outcome(self) -> MeanMoments:
        """Of all users' mean ratings."""
        return self.tenured.outcome.plus(self.fresh)

    @property
    def response(self) -> ProportionMoments:
        """Who rated at all, of those who were exposed."""
        return ProportionMoments(events=self.users, trials=max(self.units, self.users))

    def with_units(self, number: int = 1) -> "ArmEpoch":
        return replace(self, units=self.units + number)

    def with_users(
        self, *, before: Iterable[UserMoments] = (), after: Iterable[UserMoments] = (), scale: Scale
    ) -> "ArmEpoch":
        """Replaces what users contributed: takes out what they were before, adds what they are now."""
        return _taken_out(_merged(self, arm_epoch_of(after, scale=scale)), arm_epoch_of(before, scale=scale))

    def with_guardrail(self, name: str, counted: MeanMoments | ProportionMoments) -> "ArmEpoch":
        """Adds what was counted of one guardrail."""
        return replace(self, guardrails=_named_sums(self.guardrails, {name: counted}))


def arm_epoch_of(users: Iterable[UserMoments], *, scale: Scale, units: int = 0) -> ArmEpoch:
    """All users of an arm and epoch at once; those without ratings are skipped."""
    rated = [user for user in users if user.ratings]
    means = [user.mean for user in rated]
    both = list(zip(rated, means, strict=True))
    return ArmEpoch(
        units=units,
        tenured=PairMoments.of((mean, user.before, user.trust_0_1) for user, mean in both if user.before is not None),
        fresh=MeanMoments.of(mean for user, mean in both if user.before is None),
        ratio=RatioMoments.of((user.total, user.ratings, user.squares) for user in rated),
        histogram=scale.histogram_of(means),
    )


def merge(arms: Iterable[ArmEpoch]) -> ArmEpoch:
    """Parts of one arm and epoch that were counted apart, or epochs of one arm where time does not matter."""
    whole = ArmEpoch()
    for arm in arms:
        whole = _merged(whole, arm)
    return whole


def _merged(one: ArmEpoch, other: ArmEpoch) -> ArmEpoch:
    return ArmEpoch(
        units=one.units + other.units,
        tenured=one.tenured.plus(other.tenured),
        fresh=one.fresh.plus(other.fresh),
        ratio=one.ratio.plus(other.ratio),
        histogram=tuple(a + b for a, b in zip(one.histogram, other.histogram, strict=True)),
        by_day=_day_sums(one.by_day, other.by_day),
        guardrails=_named_sums(one.guardrails, other.guardrails),
    )


def _taken_out(arm: ArmEpoch, part: ArmEpoch) -> ArmEpoch:
    return replace(
        arm,
        tenured=arm.tenured.minus(part.tenured),
        fresh=arm.fresh.minus(part.fresh),
        ratio=arm.ratio.minus(part.ratio),
        histogram=tuple(a - b for a, b in zip(arm.histogram, part.histogram, strict=True)),
    )


def _day_sums(one: tuple[MeanMoments, ...], other: tuple[MeanMoments, ...]) -> tuple[MeanMoments, ...]:
    longer, shorter = (one, other) if len(one) >= len(other) else (other, one)
    return tuple(day.plus(shorter[at]) if at < len(shorter) else day for at, day in enumerate(longer))


def _named_sums(
    one: Mapping[str, MeanMoments | ProportionMoments], other: Mapping[str, MeanMoments | ProportionMoments]
) -> Mapping[str, MeanMoments | ProportionMoments]:
    sums = dict(one)
    for name, part in other.items():
        known = sums.get(name)
        match known, part:
            case MeanMoments(), MeanMoments():
                sums[name] = known.plus(part)
            case ProportionMoments(), ProportionMoments():
                sums[name] = known.plus(part)
            case None, _:
                sums[name] = part
            case _:
                raise TypeError(f"{name} was counted as two different things")
    return sums

"""Which samples may teach: nobody teaches much, newcomers teach nothing yet, and who cannot be believed teaches nothing.

What is held back is quarantined with a reason until a person has looked, or until its reason is gone. Statistics alone
do not stop many fresh accounts that agree with each other; tenure does.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from scipy import stats

from feedback_svc.domain.reliability import UNKNOWN, Reliability
from loopwright.contracts.tasks import CurationPolicy

_SURE_0_1 = 0.95  # of a rater who is wrong more often than right
_SURGE_P = 1e-6  # of as many newcomers' ratings, if they came as they usually do
_LEAST_WEIGHT_0_1, _FULL_WEIGHT_0_1 = 0.2, 1.0


class Hold(StrEnum):
    """Why a sample does not teach."""

    NO_CONSENT = "no-consent"
    RATER_UNRELIABLE = "rater-unreliable"
    RATER_BURST = "rater-burst"
    NEWCOMER_SURGE = "newcomer-surge"
    RATER_NEW = "rater-new"
    RATER_CAP = "rater-cap"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rater:
    """What is known of one rater.

    Attributes:
        first_at: First rating of anything.
        ratings: All of them.
        busiest: Most ratings in any stretch of the policy's `burst_s` seconds.
        taught: Samples of the task that it has taught and that were exported.
    """

    first_at: datetime
    ratings: int
    busiest: int
    taught: int = 0
    reliability: Reliability = UNKNOWN


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A sample that waits to be taken.

    Attributes:
        raters: Who endorsed or corrected the answer; empty for samples that no rater's word stands behind.
        vouched: A person has looked and accepted it.
        consents: Whether the person whose conversation it is lets it be trained on.
    """

    sample_id: str
    raters: tuple[str, ...]
    formed_at: datetime
    vouched: bool
    consents: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Curated:
    """What becomes of the samples that waited.

    Attributes:
        taken: How far each sample that teaches now is believed, by id: a factor of its weight.
        held: Reason for each one that is quarantined, by id.
    """

    taken: Mapping[str, float]
    held: Mapping[str, Hold]


@dataclass(frozen=True, slots=True, kw_only=True)
class Usual:
    """How newcomers usually rate a task.

    Attributes:
        per_day: Their ratings a day, before the last day; None while too little is known.
        last_day: Their ratings of the last day.
    """

    per_day: float | None
    last_day: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Crowd:
    """Who stands behind the samples of a task.

    Attributes:
        raters: Everybody who stands behind a candidate.
        tenured_raters: How many raters of the task are tenured.
        exported: Samples of the task that were taken before.
    """

    raters: Mapping[str, Rater]
    usual: Usual
    tenured_raters: int
    exported: int


def is_tenured(rater: Rater, policy: CurationPolicy, *, now: datetime) -> bool:
    long_known = now - rater.first_at >= timedelta(days=policy.tenure_days)
    return long_known and rater.ratings >= policy.tenure_ratings


def is_surge(usual: Usual) -> bool:
    """Whether newcomers rate as they hardly would by chance: Poisson's upper tail of the last day's ratings."""
    if usual.per_day is None:
        return False
    return float(stats.poisson.sf(usual.last_day - 1, max(usual.per_day, 1.0))) < _SURGE_P


def busiest_stretch(times_s: Sequence[float], *, window_s: float) -> int:
    """Most of the sorted times that lie within one window."""
    return max((place - bisect_left(times_s, time - window_s) + 1 for place, time in enumerate(times_s)), default=0)


def curate(candidates: Iterable[Candidate], crowd: Crowd, policy: CurationPolicy, *, now: datetime) -> Curated:
    """Decides over the samples that wait.

    A rater's cap counts what it has taught already; among its samples those formed first are taken. Newcomers are held
    back only once the task has `established_raters` tenured ones: before that there would be nothing to learn from.
    """
    judge = _Judge(crowd, policy, now=now)
    ordered = sorted(candidates, key=lambda one: (not one.vouched, one.formed_at, one.sample_id))
    held: dict[str, Hold] = {}
    admitted: list[Candidate] = []
    for one in ordered:
        reason = judge.reason(one)
        if reason is None:
            admitted.append(one)
        else:
            held[one.sample_id] = reason
    cap = max(policy.rater_allowance, int(policy.max_rater_share_0_1 * (crowd.exported + len(admitted))))
    taught = Counter({name: rater.taught for name, rater in crowd.raters.items()})
    taken: dict[str, float] = {}
    for one in admitted:
        if not one.vouched and any(taught[name] >= cap for name in one.raters):
            held[one.sample_id] = Hold.RATER_CAP
            continue
        taught.update(one.raters)
        taken[one.sample_id] = judge.trust(one)
    return Curated(taken=taken, held=held)


class _Judge:
    def __init__(self, crowd: Crowd, policy: CurationPolicy, *, now: datetime) -> None:
        self._raters = crowd.raters
        self._policy = policy
        self._now = now
        if is_surge(crowd.usual):
            self._newcomers: Hold | None = Hold.NEWCOMER_SURGE
        else:
            self._newcomers = Hold.RATER_NEW if crowd.tenured_raters >= policy.established_raters else None

    def reason(self, one: Candidate) -> Hold | None:
        """Why a sample is held back; the best of several raters counts, but one who cannot be believed spoils it."""
        if not one.consents:
            return Hold.NO_CONSENT
        if one.vouched or not one.raters:
            return None
        known = [self._raters[name] for name in one.raters]
        if any(rater.reliability.worse_than_chance > _SURE_0_1 for rater in known):
            return Hold.RATER_UNRELIABLE
        if any(rater.busiest > self._policy.burst_ratings for rater in known):
            return Hold.RATER_BURST
        return None if any(is_tenured(rater, self._policy, now=self._now) for rater in known) else self._newcomers

    def trust(self, one: Candidate) -> float:
        """Weight by reliability: the best of its raters' means against an unknown rater's, never above 1."""
        if one.vouched or not one.raters:
            return _FULL_WEIGHT_0_1
        best = max(self._raters[name].reliability.mean for name in one.raters)
        return min(_FULL_WEIGHT_0_1, max(_LEAST_WEIGHT_0_1, best / UNKNOWN.mean))

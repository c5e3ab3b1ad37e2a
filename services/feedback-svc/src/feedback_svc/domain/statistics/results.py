"""What an analysis says: figures per variant, per comparison with the champion, and of the experiment as a whole."""

from dataclasses import dataclass
from enum import StrEnum


class Decision(StrEnum):
    """How an experiment ends by itself."""

    PROMOTE = "promote"
    ROLLBACK = "rollback"
    EQUIVALENT = "equivalent"
    INCONCLUSIVE = "inconclusive"
    INVALID = "invalid"


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A difference, challenger minus champion, with the interval that holds the truth."""

    effect: float
    lower: float
    upper: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TestResult:
    """A statistic and its two-sided p-value."""

    __test__ = False  # not for pytest to collect

    statistic: float
    p: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedTest:
    """A test that holds at one look only: statistic, p-value, effect and interval."""

    statistic: float
    p: float
    degrees_of_freedom: float
    interval: Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class RankTest:
    """A test on ranks; `better_0_1` is the chance that a challenger's user is happier than a champion's, ties half."""

    statistic: float
    p: float
    better_0_1: float


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantResult:
    """One side.

    Attributes:
        samples: Ratings that count.
        mean: Mean of users' means, with its always-valid interval in `lower` and `upper`.
        design_effect: How many times fewer independent ratings the ratings are worth, for users repeat themselves.
        response_rate_0_1: Share of exposed units that rated.
        best_0_1: Chance to be the best of all (Bayes, flat prior; informs, never decides).
        expected_loss: Mean rating given away, on average, by choosing it.
        latency_ms: Mean, if it is counted as guardrail `latency_ms`.
        significant: Whether its difference from the champion is beyond chance by the experiment's own rule.
    """

    variant_id: str
    units: int
    users: int
    samples: int
    mean: float | None
    lower: float | None
    upper: float | None
    variance: float | None
    design_effect: float | None
    response_rate_0_1: float | None
    best_0_1: float | None
    expected_loss: float | None
    latency_ms: float | None
    significant: bool


class GuardrailState(StrEnum):
    """`breached`: worse by more than the margin, beyond chance at any number of looks."""

    HOLDS = "holds"
    OPEN = "open"
    BREACHED = "breached"


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardrailResult:
    """One guardrail; `worse` is the deterioration, with its one-sided always-valid bounds."""

    name: str
    margin: float
    worse: float
    lower: float
    upper: float
    state: GuardrailState


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseResult:
    """Whether as many rate on both sides, and what the missing could change.

    Attributes:
        difference: Response rate of the challenger minus the champion's.
        p: Two-proportion z-test, peeked at: it asks for caution, it decides nothing.
        differs: Whether people are to be told that one side answers less, by the test at this look.
        breached: Whether they differ beyond chance at any number of looks.
        bounds: Lee bounds of the effect among those who would rate on both sides; None where everybody rates.
        region: The same, wider by two standard errors on each side: what a promotion must clear.
    """

    difference: float
    p: float
    differs: bool
    breached: bool
    bounds: Interval | None
    region: Interval | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NoveltyResult:
    """Whether the difference changes with days since exposure: late minus early, per user."""

    early: float
    late: float
    change: float
    p: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One challenger against the champion; differences are challenger minus champion.

    Attributes:
        variant_id: The challenger.
        users: Rated users of both.
        smallest_arm: Rated users of the smaller side.
        interval: The deciding one, by the experiment's rule, after CUPED, epochs combined; None before it can be.
        p: Its p-value (always-valid under that rule); `adjusted_p` after Holm over all challengers.
        unadjusted: The same without CUPED.
        variance_reduction: Share of the variance that CUPED took away.
        tenured: Difference among users who had rated before exposure; a promotion must clear its interval too.
        tenured_share_0_1: Their share of the users.
        harm_p: Exact p-value of harm by betting, valid however few users there are; None where no arm is tiny.
    """

    variant_id: str
    users: int
    smallest_arm: int
    interval: Interval | None
    p: float
    adjusted_p: float
    unadjusted: Interval | None
    variance_reduction: float | None
    tenured: Interval | None
    tenured_share_0_1: float
    welch: FixedTest | None
    cuped: FixedTest | None
    mann_whitney: RankTest | None
    brunner_munzel: RankTest | None
    ratio: FixedTest | None
    harm_p: float | None
    response: ResponseResult | None
    guardrails: tuple[GuardrailResult, ...]
    novelty: NoveltyResult | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """What is known so far.

    Attributes:
        look: Of a group-sequential experiment: the planned looks that were reached, 0 before the first.
        sample_ratio_p: Always-valid p-value of the planned split of units; below 0.01 the experiment is invalid.
        raters_ratio_p: The same of raters; small means that one side answers less.
    """

    variants: tuple[VariantResult, ...]
    comparisons: tuple[Comparison, ...]
    users: int
    look: int
    sample_ratio_p: float
    raters_ratio_p: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How an experiment ends, and why, in one sentence; `variant_id` is who should be in charge, None if unclear."""

    decision: Decision
    reason: str
    variant_id: str | None

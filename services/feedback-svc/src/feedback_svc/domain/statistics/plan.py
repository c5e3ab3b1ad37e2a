"""What was agreed before an experiment began: who is compared, by which rule, and what ends it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from feedback_svc.domain.statistics.arms import ArmEpoch, Scale
from feedback_svc.domain.statistics.betting import Arrival

FIVE_STARS = Scale()
RESPONSE_RATE = "response_rate"  # a guardrail that is counted by itself
_NO_RATES: Mapping[str, Mapping[int, tuple[Arrival, ...]]] = {}


class Rule(StrEnum):
    """How often one may look.

    fixed: once, at the planned users. group_sequential: at `looks` evenly spaced numbers of users up to the planned
    ones. always_valid: as often as one likes.
    """

    FIXED = "fixed"
    GROUP_SEQUENTIAL = "group_sequential"
    ALWAYS_VALID = "always_valid"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedArm:
    """One side, with its share of the units that take part, by epoch; shares of an epoch sum to 1."""

    variant_id: str
    shares_0_1: Mapping[int, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Guardrail:
    """What must not get worse by more than a margin.

    Attributes:
        name: As it is counted in `ArmEpoch.guardrails`, or `RESPONSE_RATE`.
        margin: Deterioration that is borne, in units of what is measured.
        higher_is_worse: Latency, errors; False for rates that should be high.
    """

    name: str
    margin: float
    higher_is_worse: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The agreement.

    Attributes:
        arms: The champion first, then its challengers.
        planned_users: Rated users in all arms: the horizon of fixed and group-sequential experiments, and what an
            always-valid interval is made for.
        max_users: Rated users in all arms at which an open always-valid experiment ends without a winner.
        min_users_per_arm: No verdict on quality before each arm has them: with fewer, skewed ratings break the normal
            approximation (measured: 80:20 without it errs in 7 %).
        min_run: Nobody is promoted before; harm is acted on at once.
        smallest_effect: Difference that matters; an interval within it on both sides means equivalent.
        margin: A challenger that may be this much worse is promoted (a cheaper model); 0 if it must be better.
    """

    arms: tuple[PlannedArm, ...]
    metric: str
    higher_is_better: bool = True
    scale: Scale = FIVE_STARS
    alpha: float = 0.05
    rule: Rule = Rule.ALWAYS_VALID
    planned_users: int = 200
    max_users: int = 2000
    looks: int = 10
    min_users_per_arm: int = 50
    min_run: timedelta = timedelta(0)
    smallest_effect: float | None = None
    margin: float = 0.0
    guardrails: tuple[Guardrail, ...] = ()

    @property
    def comparisons(self) -> int:
        """Challengers."""
        return len(self.arms) - 1

    @property
    def level(self) -> float:
        """Error rate of one comparison's interval, so that all together keep alpha."""
        return self.alpha / self.comparisons

    @property
    def tightest_users(self) -> int:
        """N* of the sequences: clear differences are found by half of the planned users, and late looks err less."""
        return max(1, self.planned_users // 2)

    @property
    def horizon(self) -> int:
        """Rated users in all arms at which it ends at the latest."""
        return self.max_users if self.rule is Rule.ALWAYS_VALID else self.planned_users


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmSeen:
    """What was counted of one side, by epoch.

    Attributes:
        firsts: Each user's first rating, while an arm is tiny and ratings have ends: what the exact test bets on.
        rates: What lies between 0 and 1 of every unit, by the guardrail's name and the epoch.
    """

    variant_id: str
    epochs: Mapping[int, ArmEpoch]
    firsts: tuple[Arrival, ...] = ()
    rates: Mapping[str, Mapping[int, tuple[Arrival, ...]]] = field(default_factory=lambda: _NO_RATES)

"""What a person asks of one experiment, on top of its task's rollout policy."""

from pydantic import Field, ValidationError

from loopwright.contracts.base import Share, Value
from loopwright.contracts.experiments import Allocation
from loopwright.contracts.tasks import DecisionRule, RampStep, RolloutPolicy, TrialMargins
from loopwright.errors import Invalid

_ROOM = 2  # an always-valid interval is tightest at the target, and may take up to twice of it


class Terms(Value):
    """Everything is optional: what is left out is the task's rollout policy."""

    candidate_share_0_1: Share | None = Field(default=None, description="share of units that get a candidate, at first")
    rule: DecisionRule | None = Field(default=None, description="what may name a winner")
    target_users: int | None = Field(default=None, ge=4, le=10_000_000, description="rated users that are planned for")
    max_run_s: int | None = Field(default=None, ge=1, le=31_536_000, description="seconds at which it ends")
    min_run_s: int | None = Field(default=None, ge=0, le=31_536_000, description="no promotion before")
    smallest_effect: float | None = Field(default=None, gt=0, le=1e9, description="smallest difference that matters")
    coverage_0_1: Share | None = Field(default=None, gt=0, description="share of the units that take part")
    hold_out_share_0_1: float | None = Field(default=None, ge=0, lt=1, description="units that never take part")
    ramp: tuple[RampStep, ...] | None = Field(default=None, max_length=20, description="larger shares, in order")
    allocation: Allocation | None = Field(default=None, description="how weights come about")
    margins: TrialMargins | None = Field(default=None, description="guardrails")


def agreed(policy: RolloutPolicy, terms: Terms) -> RolloutPolicy:
    """The policy of one experiment. A person who asks for one by hand gets it without preludes.

    Raises:
        Invalid: the terms do not fit together.
    """
    asked = terms.model_dump(exclude_none=True, exclude={"target_users"})
    asked["preludes"] = ()
    if terms.target_users is not None:
        asked["planned_users"] = terms.target_users
        asked["max_users"] = _ROOM * terms.target_users
    try:
        return RolloutPolicy.model_validate(policy.model_dump() | asked)
    except ValidationError as error:
        reason = "; ".join(str(problem["msg"]) for problem in error.errors())
        raise Invalid("experiment.terms-unfit", reason) from error

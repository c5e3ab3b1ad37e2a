"""The calculator before an experiment: how many users it takes, and what so many can find."""

from dataclasses import replace
from datetime import datetime

from pydantic import ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncSession

from feedback_svc.domain.planning import LEAST_POWER, PAST, raters_of
from feedback_svc.domain.statistics.power import Raters, power_of, smallest_detectable, users_needed
from feedback_svc.store.observations import find_past_raters
from feedback_svc.store.tasks import get_task
from loopwright.contracts.base import Identifier, Value

_STD_DEV = 1.3  # of five-star ratings


class PowerQuestion(Value):
    """An experiment that is thought of."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    task_id: Identifier | None = Field(default=None, description="task whose raters of late are taken")
    users: int = Field(default=200, ge=4, le=10**9, description="rated users in both arms")
    effect: float = Field(default=0.3, ge=1e-6, le=1e6, description="difference to find, in units of the metric")
    candidate_share_0_1: float = Field(default=0.5, ge=0.001, le=0.999, description="share of the candidate")
    alpha: float = Field(default=0.05, ge=1e-6, le=0.5, description="error rate, two-sided")
    power: float = Field(default=0.8, ge=0.01, le=0.999, description="wanted chance to find it")
    std_dev: float | None = Field(
        default=None, ge=1e-6, le=1e6, description="of single ratings; none: of the task's raters, else 1.3"
    )
    icc: float = Field(default=0.29, ge=0, le=1, description="correlation of two ratings of one user")
    ratings_per_user: float = Field(default=1.0, ge=1, le=1e6, description="mean number")
    past_correlation: float = Field(
        default=0.0, ge=0, le=0.99, description="between a user's mean before and during the experiment (CUPED)"
    )


class PowerAnswer(Value):
    """What it can find at one look; a rule that allows looking at any time takes more."""

    users: int
    effect: float
    power: float = Field(description="chance that so many users find the difference")
    underpowered: bool = Field(description="whether that chance is under 0.5")
    smallest_detectable: float = Field(description="difference that so many users find with the wanted chance")
    users_needed: int = Field(description="rated users in both arms that find the difference with the wanted chance")
    std_dev: float = Field(description="spread that was reckoned with; of users' means if it was observed")
    observed: bool = Field(description="whether it is that of the task's raters of the last 30 days")


async def plan_power(session: AsyncSession, question: PowerQuestion, *, now: datetime) -> PowerAnswer:
    """What so many users can find, and how many it takes.

    Raises:
        NotFound: there is no such task.
    """
    raters, observed = await _raters(session, question, now=now)
    share, alpha, effect = question.candidate_share_0_1, question.alpha, question.effect
    power = power_of(raters, users=question.users, effect=effect, share_0_1=share, alpha=alpha)
    return PowerAnswer(
        users=question.users,
        effect=effect,
        power=power,
        underpowered=power < LEAST_POWER,
        smallest_detectable=smallest_detectable(
            raters, users=question.users, share_0_1=share, alpha=alpha, power=question.power
        ),
        users_needed=users_needed(raters, effect=effect, share_0_1=share, alpha=alpha, power=question.power),
        std_dev=raters.std_dev,
        observed=observed,
    )


async def _raters(session: AsyncSession, question: PowerQuestion, *, now: datetime) -> tuple[Raters, bool]:
    raters = Raters(
        std_dev=question.std_dev or _STD_DEV,
        icc=question.icc,
        ratings_per_user=question.ratings_per_user,
        past_correlation=question.past_correlation,
    )
    if question.task_id is None:
        return raters, False
    metric = (await get_task(session, question.task_id)).policies.success_metric
    past = await find_past_raters(session, question.task_id, metric.name, since=now - PAST)
    known, observed = raters_of(metric, past)
    if question.std_dev is not None or not observed:
        return raters, False
    return replace(known, past_correlation=question.past_correlation), True

"""Read models of experiments: lists, and one with its results."""

from datetime import datetime

import sqlalchemy as sa
from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncSession

from feedback_svc.domain.analysis import analyse
from feedback_svc.domain.decisions import METHOD, summary
from feedback_svc.domain.experiments import Experiment, Role
from feedback_svc.store.experiment_users import list_users
from feedback_svc.store.experiments import experiment_of, get_experiment
from feedback_svc.store.tables import experiments
from loopwright.contracts.base import Value
from loopwright.contracts.tasks import RolloutPolicy, SuccessMetric
from loopwright.pages import Page, Window, read_page


class ExperimentView(Value):
    """One experiment."""

    experiment_id: str
    experiment_name: str
    task_id: str
    state: str = Field(description="waiting, running or ended")
    champion_variant_id: str
    candidate_variant_id: str
    candidate_share_0_1: float
    success_metric: SuccessMetric
    created_at: datetime
    created_by: str = Field(description="`evidence`, or the subject that created it")
    started_at: datetime | None
    ended_at: datetime | None
    outcome: str | None = Field(description="promote, rollback, inconclusive, invalid or stopped")
    winner_variant_id: str | None
    concluded_by: str | None
    summary: str = Field(description="where it stands, in one sentence")


class ArmView(Value):
    """One side."""

    role: str
    variant_id: str
    share_0_1: float
    units: int = Field(description="units that were assigned to it and seen")
    users: int = Field(description="units with ratings that count")
    ratings: int
    mean: float | None = Field(description="mean of the users' mean ratings")
    variance: float | None = Field(description="sample variance of the users' mean ratings")


class Results(Value):
    """The figures as they stand."""

    arms: tuple[ArmView, ArmView]
    method: str
    alpha: float
    effect: float | None = Field(description="candidate minus champion")
    lower: float | None = Field(description="lower end of the interval that stays valid however often one looks")
    upper: float | None = Field(description="upper end of it")
    welch_t: float | None = Field(description="fixed-horizon test, reported only: peeked at, it errs far more often")
    welch_p: float | None
    mann_whitney_u: float | None = Field(description="fixed-horizon test, reported only")
    mann_whitney_p: float | None
    sample_ratio_p: float = Field(description="always-valid p-value of the planned split; below 0.01 invalidates")


class ExperimentDetail(ExperimentView):
    """One experiment with its policy and results."""

    rollout: RolloutPolicy
    traceparent: str | None = Field(description="trace that led to it")
    results: Results


async def list_experiments(
    session: AsyncSession, window: Window, *, task_id: str | None, state: str | None
) -> Page[ExperimentView]:
    """Newest first."""
    query = sa.select(experiments).order_by(experiments.c.created_at.desc(), experiments.c.experiment_id)
    if task_id is not None:
        query = query.where(experiments.c.task_id == task_id)
    if state is not None:
        query = query.where(experiments.c.state == state)
    return await read_page(session, query, window, lambda row: ExperimentView.model_validate(_view(experiment_of(row))))


async def show_experiment(session: AsyncSession, experiment_id: str) -> ExperimentDetail:
    """One experiment with its figures.

    Raises:
        NotFound: there is no such experiment.
    """
    experiment = await get_experiment(session, experiment_id)
    return ExperimentDetail.model_validate(
        _view(experiment)
        | {
            "rollout": experiment.rollout,
            "traceparent": experiment.traceparent,
            "results": await _results(session, experiment),
        }
    )


async def _results(session: AsyncSession, experiment: Experiment) -> Results:
    analysis = analyse(experiment, await list_users(session, experiment.experiment_id))
    interval, welch, ranks = analysis.interval, analysis.welch, analysis.mann_whitney
    return Results(
        arms=(_arm(experiment, Role.CHAMPION), _arm(experiment, Role.CANDIDATE)),
        method=METHOD,
        alpha=experiment.rollout.alpha,
        effect=interval.effect if interval else None,
        lower=interval.lower if interval else None,
        upper=interval.upper if interval else None,
        welch_t=welch.statistic if welch else None,
        welch_p=welch.p if welch else None,
        mann_whitney_u=ranks.statistic if ranks else None,
        mann_whitney_p=ranks.p if ranks else None,
        sample_ratio_p=analysis.sample_ratio_p,
    )


def _arm(experiment: Experiment, role: Role) -> ArmView:
    arm, candidate = experiment.arm(role), role is Role.CANDIDATE
    return ArmView(
        role=role,
        variant_id=experiment.candidate_variant_id if candidate else experiment.champion_variant_id,
        share_0_1=experiment.shares_0_1[candidate],
        units=arm.units,
        users=arm.users,
        ratings=arm.ratings,
        mean=arm.mean,
        variance=arm.variance,
    )


def _view(experiment: Experiment) -> dict[str, object]:
    return {
        "experiment_id": experiment.experiment_id,
        "experiment_name": experiment.name,
        "task_id": experiment.task_id,
        "state": experiment.state,
        "champion_variant_id": experiment.champion_variant_id,
        "candidate_variant_id": experiment.candidate_variant_id,
        "candidate_share_0_1": experiment.candidate_share_0_1,
        "success_metric": experiment.metric,
        "created_at": experiment.created_at,
        "created_by": experiment.created_by,
        "started_at": experiment.started_at,
        "ended_at": experiment.ended_at,
        "outcome": experiment.outcome,
        "winner_variant_id": experiment.winner_variant_id,
        "concluded_by": experiment.concluded_by,
        "summary": summary(experiment),
    }

"""Read models of experiments: lists, one with all that was done to it, and its results."""

from datetime import datetime

import sqlalchemy as sa
from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncSession

from feedback_svc.domain.assessment import assess
from feedback_svc.domain.experiments import Experiment
from feedback_svc.domain.planning import PAST, Planning, planning_of
from feedback_svc.domain.reports import Report, report_of
from feedback_svc.store.experiments import experiment_of, find_findings, get_experiment, list_changes
from feedback_svc.store.observations import find_past_raters, observe
from feedback_svc.store.tables import experiments
from loopwright.contracts.base import Value
from loopwright.contracts.experiments import ExperimentKind, Layer
from loopwright.contracts.tasks import RolloutPolicy, SuccessMetric
from loopwright.errors import NotFound
from loopwright.pages import Page, Window, read_page


class ExperimentView(Value):
    """One experiment."""

    experiment_id: str
    experiment_name: str
    task_id: str
    kind: str = Field(
        description="ab, aa: every arm gets the champion's answers, or shadow: nobody sees the candidates'"
    )
    state: str = Field(description="draft, running, ramping, stopped or concluded")
    revision: int = Field(description="rises with every change; send it back to be refused if it is another by then")
    epoch: int = Field(description="rises whenever weights change")
    champion_variant_id: str
    candidate_variant_id: str
    further_candidate_ids: tuple[str, ...]
    candidate_share_0_1: float
    weights_0_1: tuple[float, ...] = Field(description="share of each arm, the champion's first")
    success_metric: SuccessMetric
    created_at: datetime
    created_by: str = Field(description="`evidence`, or the subject that created it")
    queued_at: datetime | None = Field(description="since when a draft waits for its turn; none: for a person")
    started_at: datetime | None
    ended_at: datetime | None
    verdict: str | None = Field(
        description="promote, rollback, equivalent, inconclusive, invalid, or stopped without a winner"
    )
    winner_variant_id: str | None
    concluded_by: str | None
    reason: str | None = Field(description="the verdict in one sentence")


class ChangeView(Value):
    """Something that was done to it."""

    at: datetime
    by: str = Field(description="`evidence`, or a subject")
    why: str
    from_state: str | None
    to_state: str
    epoch: int


class ExperimentDetail(ExperimentView):
    """One experiment with its policy, its history and its results."""

    rollout: RolloutPolicy
    layer: Layer | None = Field(description="units that may take part; none: all")
    excluded_units: int = Field(description="units that never take part")
    forced_units: int = Field(description="testers' units, which get their variant uncounted")
    traceparent: str | None = Field(description="trace that led to it")
    changes: tuple[ChangeView, ...]
    planning: Planning | None = Field(description="what it can find; none once it has ended, or where nobody is asked")
    results: Report | None = Field(description="none where the figures of a former release were not kept")


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
            "layer": experiment.layer,
            "excluded_units": len(experiment.excluded_units),
            "forced_units": len(experiment.forced_units),
            "traceparent": experiment.traceparent,
            "changes": [
                ChangeView(
                    at=change.changed_at, by=change.changed_by, why=change.reason, from_state=change.from_state,
                    to_state=change.to_state, epoch=change.epoch,
                )
                for change in await list_changes(session, experiment_id)
            ],
            "planning": await _planning(session, experiment),
            "results": await _report(session, experiment),
        }
    )  # fmt: skip


async def show_results(session: AsyncSession, experiment_id: str) -> Report:
    """The figures of an experiment, of an ended one as they were at its end.

    Raises:
        NotFound: there is no such experiment, or its figures were not kept.
    """
    report = await _report(session, await get_experiment(session, experiment_id))
    if report is None:
        raise NotFound("experiment.no-figures", f"the figures of {experiment_id} were not kept")
    return report


async def _planning(session: AsyncSession, experiment: Experiment) -> Planning | None:
    if experiment.ended_at is not None or experiment.kind is not ExperimentKind.AB:
        return None
    since = (experiment.started_at or experiment.created_at) - PAST
    past = await find_past_raters(session, experiment.task_id, experiment.metric.name, since=since)
    return planning_of(experiment, past)


async def _report(session: AsyncSession, experiment: Experiment) -> Report | None:
    if experiment.ended_at is not None:
        findings = await find_findings(session, experiment.experiment_id)
        return None if findings is None else Report.model_validate(findings)
    observed = await observe(session, experiment, in_full=True)
    return report_of(assess(experiment, observed), observed)


def _view(experiment: Experiment) -> dict[str, object]:
    renamed = {"experiment_name": "name", "success_metric": "metric"}
    return {name: getattr(experiment, renamed.get(name, name)) for name in ExperimentView.model_fields}

"""Gate verdicts: a candidate that passed meets live traffic, one that failed is reported to people."""

from datetime import datetime

from feedback_svc.domain.experiments import BY_EVIDENCE, Experiment, ExperimentState, even_weights
from feedback_svc.handlers.alerts import raise_alert
from feedback_svc.handlers.experiments import new_experiment_id, new_salt, open_experiment, staged
from feedback_svc.store.experiments import add_evaluation, list_open
from feedback_svc.store.tasks import Task, expect_task
from loopwright.contracts.models import ModelEvaluated
from loopwright.contracts.records import AlertRaised, Severity
from loopwright.telemetry import current_traceparent
from loopwright.unit_of_work import Work


async def take_evaluation(event: ModelEvaluated, work: Work, *, now: datetime) -> None:
    """Opens an experiment for a candidate that passed its gate, once per evaluation and once per candidate.

    Raises:
        OutOfOrder: the task's definition has not arrived yet.
    """
    task = await expect_task(work.session, event.task_id, lock=True)
    if not await add_evaluation(work.session, event):
        return
    if not event.passed:
        await raise_alert(_gate_failed(event, now=now), work)
        return
    opened = await list_open(work.session, event.task_id)
    if any(event.candidate.variant_id in experiment.candidate_ids for experiment in opened):
        return
    experiment = staged(_experiment_for(event, task, now=now))
    await open_experiment(experiment, work, now=now, why=f"evaluation {event.evaluation_id} passed")


def _experiment_for(event: ModelEvaluated, task: Task, *, now: datetime) -> Experiment:
    rollout = task.policies.rollout
    return Experiment(
        experiment_id=new_experiment_id(),
        name=f"{event.candidate.variant_id} against {event.champion.variant_id}",
        task_id=event.task_id,
        state=ExperimentState.DRAFT,
        salt=new_salt(),
        champion_variant_id=event.champion.variant_id,
        candidate_variant_id=event.candidate.variant_id,
        weights_0_1=even_weights(rollout.candidate_share_0_1, 1),
        metric=task.policies.success_metric,
        rollout=rollout,
        known_at=event.evaluated_at,
        traceparent=current_traceparent(),
        created_at=now,
        created_by=BY_EVIDENCE,
        queued_at=now,
    )


def _gate_failed(event: ModelEvaluated, *, now: datetime) -> AlertRaised:
    return AlertRaised(
        alert_id=f"model.gate-failed:{event.evaluation_id}",
        severity=Severity.WARNING,
        kind="model.gate-failed",
        task_id=event.task_id,
        detail=f"{event.candidate.variant_id} failed its gate: {'; '.join(event.reasons)}",
        raised_at=now,
    )

"""What registry-svc declares: tasks with their policies, and what serves them."""

from datetime import datetime

from feedback_svc.domain.experiments import Ending, Verdict
from feedback_svc.domain.serving import Serving, why_untenable
from feedback_svc.handlers.experiments import end_experiment, start_next
from feedback_svc.store.experiments import list_open
from feedback_svc.store.tasks import Policies, Task, find_task, save_serving, save_task
from loopwright.contracts.deployments import DeploymentChanged
from loopwright.contracts.tasks import TaskDefined
from loopwright.unit_of_work import Work


async def define_task(event: TaskDefined, work: Work) -> None:
    """Keeps the newest version of a task, in whatever order versions come."""
    policies = Policies(
        base_model=event.base_model,
        success_metric=event.success_metric,
        data_policy=event.data_policy,
        retraining=event.retraining,
        rollout=event.rollout,
        prompt=event.prompt,
        sources=event.sources,
    )
    task = Task(task_id=event.task_id, version=event.version, policies=policies, defined_at=event.defined_at)
    await save_task(work.session, task)


async def change_deployment(event: DeploymentChanged, work: Work, *, now: datetime) -> None:
    """Keeps the newest deployment, ends experiments that it makes pointless, and lets the next one start."""
    serving = Serving(
        task_id=event.task_id,
        revision=event.revision,
        champion_variant_id=event.champion.variant.variant_id,
        candidate_variant_ids=tuple(candidate.variant.variant_id for candidate in event.candidates),
        changed_at=event.changed_at,
    )
    task = await find_task(work.session, event.task_id, lock=True)
    if not await save_serving(work.session, serving) or task is None:
        return
    for experiment in await list_open(work.session, event.task_id):
        reason = why_untenable(experiment, serving)
        if reason is not None:
            await end_experiment(experiment, Ending(verdict=Verdict.STOPPED, reason=reason, at=now), work)
    await start_next(event.task_id, work, now=now)

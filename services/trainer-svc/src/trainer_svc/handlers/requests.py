"""Policies and data become known; jobs are asked for, by policy or by a person, and queued."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from loopwright.contracts.base import RunState
from loopwright.contracts.datasets import DatasetValidated
from loopwright.contracts.jobs import JobRequested, TrainingData
from loopwright.contracts.tasks import TaskDefined
from loopwright.errors import Conflict, OutOfOrder
from loopwright.telemetry import current_traceparent
from loopwright.unit_of_work import Work
from trainer_svc.domain.deprecations import refusal
from trainer_svc.domain.jobs import Ending, check_can_stop, job_for, obstacle
from trainer_svc.handlers.endings import announce_finished
from trainer_svc.store import deprecations, jobs, policies


async def keep_policy(unit: Work, event: TaskDefined) -> None:
    """Remembers how a task wants its datasets trained."""
    await policies.keep_newest_policy(unit.session, event)


async def train_by_policy(unit: Work, event: DatasetValidated, *, job_id: str, now: datetime) -> JobRequested | None:
    """Remembers a dataset version and asks for the job that its task's policy wants, unless it is deprecated already.

    Raises:
        OutOfOrder: the task itself is not known yet.
    """
    await policies.add_version(unit.session, event)
    if await deprecations.find(unit.session, event.version_id) is not None:
        return None
    policy = await policies.find_policy(unit.session, event.task_id)
    if policy is None:
        raise OutOfOrder("job.task-unknown", f"the task {event.task_id} is not defined yet", task_id=event.task_id)
    request = job_for(event, policy, job_id=job_id, now=now)
    if request is not None:
        unit.announce(request)
    return request


async def request_job(unit: Work, dataset_id: str, build: Callable[[str, TrainingData], JobRequested]) -> JobRequested:
    """Queues a job that a person asks for, and says so.

    Args:
        dataset_id: Dataset version, or dataset whose newest version is meant.
        build: Makes the request from the task and the splits that were found.

    Raises:
        NotFound: no such dataset was validated.
        Conflict: the version must not be learned from any more.
    """
    await deprecations.lock(unit.session)
    task_id, data = await policies.get_training_data(unit.session, dataset_id)
    deprecation = await deprecations.find(unit.session, data.version_id)
    if deprecation is not None:
        raise Conflict("job.data-deprecated", refusal(data.version_id, deprecation), version_id=data.version_id)
    request = build(task_id, data)
    await jobs.add(unit.session, request, traceparent=current_traceparent())
    unit.announce(request)
    return request


async def accept_job(unit: Work, request: JobRequested, base_models: dict[str, Path]) -> None:
    """Queues a job, or ends it at once if this worker could never run it, or nobody may."""
    await deprecations.lock(unit.session)
    if not await jobs.add(unit.session, request, traceparent=current_traceparent()):
        return
    version_id = request.training_data.version_id
    deprecation = await deprecations.find(unit.session, version_id)
    if deprecation is not None:
        await jobs.change(unit.session, request.job_id, {"training_data_deprecated": deprecation})
        await _end_at_once(unit, request.job_id, RunState.STOPPED, reason=refusal(version_id, deprecation))
        return
    reason = obstacle(request, base_models)
    if reason is not None:
        await _end_at_once(unit, request.job_id, RunState.FAILED, reason=reason)


async def _end_at_once(unit: Work, job_id: str, state: RunState, *, reason: str) -> None:
    row = await jobs.get_for_change(unit.session, job_id)
    await announce_finished(unit, row, Ending(state=state, reason=reason))


async def stop_job(unit: Work, job_id: str) -> None:
    """Asks a running job to stop, or takes a waiting one out of the queue.

    Raises:
        NotFound: there is no such job.
        Conflict: it has ended.
    """
    row = await jobs.get_for_change(unit.session, job_id)
    state = RunState(row.state)
    check_can_stop(state)
    if state is RunState.QUEUED:
        await announce_finished(unit, row, Ending(state=RunState.STOPPED, reason="stopped before it began"))
    else:
        await jobs.change(unit.session, job_id, {"stop_requested": True})

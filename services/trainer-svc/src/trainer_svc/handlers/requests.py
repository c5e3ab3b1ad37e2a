"""Policies and data become known; jobs are asked for, by policy or by a person, and queued."""

from collections.abc import Mapping
from datetime import datetime

from loopwright.contracts.base import RunState
from loopwright.contracts.datasets import DatasetValidated
from loopwright.contracts.jobs import JobKind, JobRequested
from loopwright.contracts.tasks import TaskDefined
from loopwright.errors import Conflict, Invalid, OutOfOrder
from loopwright.telemetry import current_traceparent
from loopwright.unit_of_work import Work
from trainer_svc.domain.deprecations import refusal
from trainer_svc.domain.estimates import Estimate
from trainer_svc.domain.installed import Installed
from trainer_svc.domain.jobs import Ending, check_can_stop, job_for, obstacle
from trainer_svc.domain.memory import ADVICE
from trainer_svc.domain.orders import JobOrder, Material, check_is_source, job_of
from trainer_svc.domain.waiting import too_large
from trainer_svc.handlers.endings import announce_finished
from trainer_svc.handlers.estimates import estimate_job
from trainer_svc.store import deprecations, jobs, policies, queue


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
    champion = await jobs.find_last_settings(
        unit.session, event.task_id, base_model=policy.base_model, method=policy.training.method,
        objective=policy.training.objective,
    )  # fmt: skip
    request = job_for(event, policy, job_id=job_id, now=now, champion=champion)
    if request is not None:
        unit.announce(request)
    return request


async def request_job(unit: Work, order: JobOrder, installed: Installed) -> tuple[JobRequested, Estimate]:
    """Queues a job that a person asks for, and says so.

    Returns:
        The job, and what it will take.

    Raises:
        NotFound: no such dataset was validated, or there is no such source job.
        Conflict: the data must not be learned from any more, or the source left no adapter.
        Invalid: no worker can ever run it.
    """
    request = await _plan(unit, order, installed)
    estimated = await estimate_job(unit, request, installed, prices={})
    await jobs.add(unit.session, request, traceparent=current_traceparent(), estimated_s=estimated.seconds)
    await _check_memory(unit, request, installed)
    unit.announce(request)
    return request, estimated


async def estimate_order(unit: Work, order: JobOrder, installed: Installed, *, prices: Mapping[str, float]) -> Estimate:
    """What a job would take that a person might ask for; queues nothing.

    Raises:
        NotFound, Conflict, Invalid: as `request_job`, but for what is too large for every worker.
    """
    return await estimate_job(unit, await _plan(unit, order, installed), installed, prices=prices)


async def _plan(unit: Work, order: JobOrder, installed: Installed) -> JobRequested:
    await deprecations.lock(unit.session)
    material = await _material(unit, order)
    version_id = material.training_data.version_id
    deprecation = await deprecations.find(unit.session, version_id)
    if deprecation is not None:
        raise Conflict("job.data-deprecated", refusal(version_id, deprecation), version_id=version_id)
    request = job_of(order, material)
    reason = obstacle(request, installed)
    if reason is not None:
        raise Invalid("job.cannot-run", reason)
    return request


async def _material(unit: Work, order: JobOrder) -> Material:
    if order.source_job_id is not None:
        row = await jobs.get_for_change(unit.session, order.source_job_id)
        adapter = check_is_source(RunState(row.state), JobKind(row.kind), row.adapter)
        return Material(
            task_id=row.task_id, base_model=row.base_model, training_data=row.training_data, method=row.method,
            objective=row.objective, source_adapter=adapter,
        )  # fmt: skip
    assert order.dataset_id is not None, "the door sees to it"
    assert order.base_model is not None, "the door sees to it"
    task_id, data = await policies.get_training_data(unit.session, order.dataset_id)
    return Material(
        task_id=task_id, base_model=order.base_model, training_data=data, method=order.method, objective=order.objective
    )


async def _check_memory(unit: Work, request: JobRequested, installed: Installed) -> None:
    demand = await queue.get_waiting(unit.session, request.job_id, installed.shapes)
    words = too_large(demand, await queue.list_workers(unit.session))
    if words is not None:
        raise Invalid("job.too-large", f"the job has no room in memory: {words}. Advice: {ADVICE}")


async def accept_job(unit: Work, request: JobRequested, installed: Installed) -> None:
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
    reason = obstacle(request, installed)
    if reason is not None:
        await _end_at_once(unit, request.job_id, RunState.FAILED, reason=reason)
        return
    estimated = await estimate_job(unit, request, installed, prices={})
    await jobs.change(unit.session, request.job_id, {"estimated_s": estimated.seconds})


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

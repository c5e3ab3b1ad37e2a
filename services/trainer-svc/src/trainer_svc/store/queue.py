"""The queue and the slots: who waits, what is taken, what workers there are."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from loopwright.contracts.base import RunState
from loopwright.contracts.jobs import JobKind
from trainer_svc.domain.jobs import Job, Lease, models_of, other_trainer_of
from trainer_svc.domain.memory import ModelShape, Undertaking, peak_bytes
from trainer_svc.domain.queue import Demand, Turn, party_of, pool_of
from trainer_svc.domain.waiting import WorkerState
from trainer_svc.store.jobs import JobRow
from trainer_svc.store.tables import job_devices, jobs, workers


@dataclass(frozen=True, kw_only=True)
class Holding:
    """A slot that a job has.

    Attributes:
        need_bytes: What the job was thought to need on it.
    """

    worker: str
    slot: str
    job_id: str
    need_bytes: int


async def lock_queue(session: AsyncSession) -> None:
    """Lets one worker at a time choose; held until the transaction ends."""
    await session.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtext("trainer.queue"))))


async def list_waiting(session: AsyncSession, shapes: Mapping[str, ModelShape]) -> list[Demand]:
    """All jobs in the queue, in no order."""
    rows = await session.execute(sa.select(jobs).where(jobs.c.state == RunState.QUEUED))
    return [_demand(row, shapes) for row in rows]


async def get_waiting(session: AsyncSession, job_id: str, shapes: Mapping[str, ModelShape]) -> Demand:
    """One job of the queue."""
    return _demand((await session.execute(sa.select(jobs).where(jobs.c.job_id == job_id))).one(), shapes)


def _demand(row: JobRow, shapes: Mapping[str, ModelShape]) -> Demand:
    work = undertaking_of(row)
    shape = shapes.get(row.base_model)
    teacher = shapes.get(row.hyperparameters.teacher or "") if row.objective == "distill" else None
    kinds = () if shape is None else ("cpu", "cuda")
    return Demand(
        job_id=row.job_id,
        party=party_of(requested_by=row.requested_by, task_id=row.task_id),
        priority=row.priority,
        models=models_of(row.base_model, row.hyperparameters, objective=row.objective),
        trainer=other_trainer_of(JobKind(row.kind), row.hyperparameters),
        devices=row.devices,
        device_count=work.device_count,
        requested_at=row.requested_at,
        queued_at=row.queued_at,
        need_bytes={kind: peak_bytes(work, shape, device=kind, teacher=teacher) for kind in kinds if shape is not None},
    )


def undertaking_of(row: JobRow) -> Undertaking:
    return Undertaking(
        kind=JobKind(row.kind),
        method=row.method,
        objective=row.objective,
        hyperparameters=row.hyperparameters,
        device_count=max(row.device_count, len(row.devices)),
        mean_sample_bytes=row.training_data.train.artifact.size_bytes / max(row.training_data.train.samples, 1),
    )


async def list_turns(session: AsyncSession) -> dict[str, Turn]:
    """What each party has had."""
    statement = sa.select(
        jobs.c.requested_by,
        jobs.c.task_id,
        sa.func.count().filter(jobs.c.state == RunState.RUNNING).label("running"),
        sa.func.max(jobs.c.last_started_at).label("last_start"),
    ).group_by(jobs.c.requested_by, jobs.c.task_id)
    found: dict[str, Turn] = {}
    for row in await session.execute(statement):
        party = party_of(requested_by=row.requested_by, task_id=row.task_id)
        before = found.get(party, Turn())
        starts = [start for start in (before.last_start, row.last_start) if start is not None]
        found[party] = Turn(running=before.running + row.running, last_start=max(starts, default=None))
    return found


async def list_held(session: AsyncSession) -> list[Holding]:
    """Every slot that a job has."""
    statement = sa.select(job_devices, jobs.c.memory_bytes).join(jobs, jobs.c.job_id == job_devices.c.job_id)
    rows = await session.execute(statement.order_by(job_devices.c.worker, job_devices.c.slot))
    return [
        Holding(worker=row.worker, slot=row.slot, job_id=row.job_id, need_bytes=row.memory_bytes or 0) for row in rows
    ]


async def take(
    session: AsyncSession, job_id: str, *, owner: str, slots: Sequence[str], ttl: timedelta, memory_bytes: int | None
) -> Job | None:
    """Gives a waiting job and all its slots to a worker; the attempt it counts outdates every earlier holder.

    Returns:
        None, and nothing changed, if the job waits no more.

    Raises:
        sqlalchemy.exc.IntegrityError: one of the slots is taken; the transaction is void.
    """
    places = tuple(f"{owner}/{slot}" for slot in slots)
    now = sa.func.now()
    statement = (
        sa.update(jobs)
        .where(jobs.c.job_id == job_id, jobs.c.state == RunState.QUEUED)
        .values(
            state=RunState.RUNNING, attempt=jobs.c.attempt + 1, lease_owner=owner, device=places[0], ran_on=places,
            reason=None, lease_expires_at=now + ttl, last_started_at=now, memory_bytes=memory_bytes,
            started_at=sa.func.coalesce(jobs.c.started_at, now),
        )
        .returning(jobs)
    )  # fmt: skip
    row = (await session.execute(statement)).one_or_none()
    if row is None:
        return None
    taken = [{"worker": owner, "slot": slot, "job_id": job_id} for slot in slots]
    await session.execute(sa.insert(job_devices), taken)
    return Job(
        lease=Lease(job_id=row.job_id, owner=owner, attempt=row.attempt), kind=JobKind(row.kind),
        job_name=row.job_name, task_id=row.task_id, base_model=row.base_model, training_data=row.training_data,
        method=row.method, objective=row.objective, hyperparameters=row.hyperparameters,
        source_adapter=row.source_adapter, devices=tuple(slots),
        mlflow_run_id=row.mlflow_run_id, traceparent=row.traceparent, requested_at=row.requested_at,
        attempts_forgiven=row.attempts_forgiven, resume_from_step=row.resume_from_step,
    )  # fmt: skip


async def free(session: AsyncSession, job_id: str) -> None:
    """Gives back every slot of a job."""
    await session.execute(sa.delete(job_devices).where(job_devices.c.job_id == job_id))


async def keep_worker(session: AsyncSession, worker: WorkerState, *, alive_for: timedelta) -> None:
    """Records that a worker lives, and what it has."""
    values = {
        "slots": worker.slots, "base_models": worker.base_models,
        "trainers": worker.trainers, "most_jobs": worker.most_jobs,
        "total_bytes": dict(worker.total_bytes), "free_bytes": dict(worker.free_bytes),
        "last_seen": sa.func.now(), "alive_until": sa.func.now() + alive_for,
    }  # fmt: skip
    statement = insert(workers).values(name=worker.name, **values)
    await session.execute(statement.on_conflict_do_update(index_elements=[workers.c.name], set_=values))


async def list_workers(session: AsyncSession) -> list[WorkerState]:
    """Workers that live, with what they hold; their free memory leaves out what their jobs were promised."""
    held: defaultdict[str, list[Holding]] = defaultdict(list)
    for holding in await list_held(session):
        held[holding.worker].append(holding)
    rows = await session.execute(
        sa.select(workers).where(workers.c.alive_until > sa.func.now()).order_by(workers.c.name)
    )
    return [
        WorkerState(
            name=row.name,
            slots=row.slots,
            base_models=row.base_models,
            trainers=row.trainers,
            most_jobs=row.most_jobs,
            held={holding.slot: holding.job_id for holding in held[row.name]},
            total_bytes=row.total_bytes,
            free_bytes=unpromised(row.free_bytes, row.total_bytes, held[row.name]),
        )
        for row in rows
    ]


def unpromised(
    free_bytes: Mapping[str, int], total_bytes: Mapping[str, int], held: Sequence[Holding]
) -> dict[str, int]:
    """Free memory by pool: what is measured, or less where running jobs have not taken yet what they will need."""
    left = dict(total_bytes)
    for holding in held:
        pool = pool_of(holding.slot)
        left[pool] = left.get(pool, 0) - holding.need_bytes
    return {pool: max(min(free, left.get(pool, free)), 0) for pool, free in free_bytes.items()}


async def now(session: AsyncSession) -> datetime:
    """The database's clock, which all workers share."""
    return (await session.execute(sa.select(sa.func.now()))).scalar_one()

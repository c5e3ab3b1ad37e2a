"""The queue: jobs, the leases under which they run, and what they said."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from loopwright.contracts.base import RunState
from loopwright.contracts.jobs import JobRequested
from loopwright.errors import NotFound
from trainer_svc.domain.jobs import Job, Lease
from trainer_svc.store.tables import checkpoints, jobs, metrics

Figure = float | int | str | None


async def add(session: AsyncSession, request: JobRequested, *, traceparent: str | None) -> bool:
    """Queues a job, unless one with its id is there already; True if it is new."""
    values = {name: getattr(request, name) for name in JobRequested.model_fields}
    statement = insert(jobs).values(**values, state=RunState.QUEUED, traceparent=traceparent)
    added = await session.execute(statement.on_conflict_do_nothing().returning(jobs.c.job_id))
    return added.scalar_one_or_none() is not None


async def lock_queue(session: AsyncSession) -> None:
    """Lets one worker at a time choose; held until the transaction ends."""
    await session.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtext("trainer.queue"))))


async def list_taken_devices(session: AsyncSession, prefix: str) -> Sequence[str]:
    """Devices of one worker on which jobs run."""
    statement = sa.select(jobs.c.device).where(
        jobs.c.state == RunState.RUNNING, jobs.c.device.startswith(prefix, autoescape=True)
    )
    return [str(device) for device in (await session.execute(statement)).scalars()]


async def lock_silent(session: AsyncSession) -> Sequence[sa.Row[*tuple[object, ...]]]:
    """Locks running jobs whose workers let their leases run out."""
    statement = (
        sa.select(jobs)
        .where(jobs.c.state == RunState.RUNNING, jobs.c.lease_expires_at <= sa.func.now())
        .with_for_update(skip_locked=True)
    )
    return (await session.execute(statement)).all()


async def lock_held_by(session: AsyncSession, owner: str) -> Sequence[sa.Row[*tuple[object, ...]]]:
    """Locks running jobs of one worker."""
    statement = sa.select(jobs).where(jobs.c.state == RunState.RUNNING, jobs.c.lease_owner == owner)
    return (await session.execute(statement.with_for_update())).all()


async def find_due(session: AsyncSession, base_models: Sequence[str]) -> sa.Row[*tuple[object, ...]] | None:
    """Locks the job that has waited longest."""
    statement = (
        sa.select(jobs)
        .where(jobs.c.state == RunState.QUEUED, jobs.c.base_model.in_(base_models))
        .order_by(jobs.c.requested_at, jobs.c.job_id)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    return (await session.execute(statement)).one_or_none()


async def take(session: AsyncSession, job_id: str, *, owner: str, device: str, ttl: timedelta) -> Job:
    """Gives a locked job to a worker; the attempt it counts outdates every earlier holder."""
    statement = (
        sa.update(jobs)
        .where(jobs.c.job_id == job_id)
        .values(
            state=RunState.RUNNING, attempt=jobs.c.attempt + 1, lease_owner=owner, device=device, reason=None,
            lease_expires_at=sa.func.now() + ttl, started_at=sa.func.coalesce(jobs.c.started_at, sa.func.now()),
        )
        .returning(jobs)
    )  # fmt: skip
    row = (await session.execute(statement)).one()
    return Job(
        lease=Lease(job_id=row.job_id, owner=owner, attempt=row.attempt),
        job_name=row.job_name, task_id=row.task_id, base_model=row.base_model, training_data=row.training_data,
        method=row.method, objective=row.objective, hyperparameters=row.hyperparameters, device=device,
        mlflow_run_id=row.mlflow_run_id, traceparent=row.traceparent, requested_at=row.requested_at,
    )  # fmt: skip


async def update_held(
    session: AsyncSession, lease: Lease, values: Mapping[str, object]
) -> sa.Row[*tuple[object, ...]] | None:
    """Changes a running job of whoever holds the lease; None, and nothing changed, if the lease was lost."""
    statement = (
        sa.update(jobs)
        .where(
            jobs.c.job_id == lease.job_id, jobs.c.state == RunState.RUNNING,
            jobs.c.lease_owner == lease.owner, jobs.c.attempt == lease.attempt,
        )
        .values(**values)
        .returning(jobs)
    )  # fmt: skip
    return (await session.execute(statement)).one_or_none()


async def get_for_change(session: AsyncSession, job_id: str) -> sa.Row[*tuple[object, ...]]:
    """Locks a job.

    Raises:
        NotFound: there is none with this id.
    """
    row = (await session.execute(sa.select(jobs).where(jobs.c.job_id == job_id).with_for_update())).one_or_none()
    if row is None:
        raise NotFound("job.not-found", f"there is no job {job_id}", job_id=job_id)
    return row


async def change(session: AsyncSession, job_id: str, values: Mapping[str, object]) -> None:
    await session.execute(sa.update(jobs).where(jobs.c.job_id == job_id).values(**values))


async def add_metrics(session: AsyncSession, lease: Lease, figures: Mapping[str, Figure], *, at: datetime) -> None:
    await session.execute(sa.insert(metrics).values(job_id=lease.job_id, attempt=lease.attempt, at=at, **figures))


async def add_checkpoint(session: AsyncSession, lease: Lease, figures: Mapping[str, Figure], *, at: datetime) -> None:
    """Records a checkpoint; an attempt that reaches a step again replaces what the earlier one wrote there."""
    values = {"attempt": lease.attempt, "at": at, **figures}
    statement = insert(checkpoints).values(job_id=lease.job_id, **values)
    await session.execute(
        statement.on_conflict_do_update(index_elements=[checkpoints.c.job_id, checkpoints.c.step], set_=values)
    )

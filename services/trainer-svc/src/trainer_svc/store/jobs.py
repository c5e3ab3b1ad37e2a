"""Jobs, the leases under which they run, and what they said."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from loopwright.contracts.base import RunState
from loopwright.contracts.jobs import JobRequested
from loopwright.contracts.tasks import Hyperparameters
from loopwright.errors import NotFound
from trainer_svc.domain.jobs import Lease
from trainer_svc.store.tables import checkpoints, deleted_jobs, jobs, metrics

Figure = float | int | str | None
JobRow = sa.Row[*tuple[object, ...]]


async def add(
    session: AsyncSession, request: JobRequested, *, traceparent: str | None, estimated_s: float | None = None
) -> bool:
    """Queues a job, unless one with its id is or was there already; True if it is new."""
    values = {name: getattr(request, name) for name in JobRequested.model_fields}
    deleted = sa.select(deleted_jobs.c.job_id).where(deleted_jobs.c.job_id == request.job_id)
    if (await session.execute(deleted)).one_or_none() is not None:
        return False
    statement = insert(jobs).values(**values, state=RunState.QUEUED, traceparent=traceparent, estimated_s=estimated_s)
    added = await session.execute(statement.on_conflict_do_nothing().returning(jobs.c.job_id))
    return added.scalar_one_or_none() is not None


async def lock_silent(session: AsyncSession) -> Sequence[JobRow]:
    """Locks running jobs whose workers let their leases run out."""
    statement = (
        sa.select(jobs)
        .where(jobs.c.state == RunState.RUNNING, jobs.c.lease_expires_at <= sa.func.now())
        .with_for_update(skip_locked=True)
    )
    return (await session.execute(statement)).all()


async def lock_held_by(session: AsyncSession, owner: str) -> Sequence[JobRow]:
    """Locks running jobs of one worker."""
    statement = sa.select(jobs).where(jobs.c.state == RunState.RUNNING, jobs.c.lease_owner == owner)
    return (await session.execute(statement.with_for_update())).all()


async def update_held(session: AsyncSession, lease: Lease, values: Mapping[str, object]) -> JobRow | None:
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


async def get_for_change(session: AsyncSession, job_id: str) -> JobRow:
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


async def delete(session: AsyncSession, job_id: str, *, by: str, at: datetime) -> None:
    """Removes a job with its metrics and checkpoints; its id is not used again."""
    await session.execute(sa.delete(jobs).where(jobs.c.job_id == job_id))
    await session.execute(insert(deleted_jobs).values(job_id=job_id, deleted_by=by, deleted_at=at))


async def find_last_settings(
    session: AsyncSession, task_id: str, *, base_model: str, method: str, objective: str
) -> Hyperparameters | None:
    """Settings of the task's last training job that succeeded."""
    statement = (
        sa.select(jobs.c.hyperparameters)
        .where(
            jobs.c.task_id == task_id, jobs.c.kind == "train", jobs.c.state == RunState.SUCCEEDED,
            jobs.c.base_model == base_model, jobs.c.method == method, jobs.c.objective == objective,
            jobs.c.study_id.is_(None),
        )
        .order_by(jobs.c.finished_at.desc())
        .limit(1)
    )  # fmt: skip
    return (await session.execute(statement)).scalar_one_or_none()


async def add_metrics(session: AsyncSession, lease: Lease, figures: Mapping[str, Figure], *, at: datetime) -> None:
    await session.execute(sa.insert(metrics).values(job_id=lease.job_id, attempt=lease.attempt, at=at, **figures))


async def add_checkpoint(session: AsyncSession, lease: Lease, figures: Mapping[str, Figure], *, at: datetime) -> None:
    """Records a checkpoint; an attempt that reaches a step again replaces what the earlier one wrote there."""
    values = {"attempt": lease.attempt, "at": at, **figures}
    statement = insert(checkpoints).values(job_id=lease.job_id, **values)
    await session.execute(
        statement.on_conflict_do_update(index_elements=[checkpoints.c.job_id, checkpoints.c.step], set_=values)
    )


async def list_checkpoints(session: AsyncSession, job_id: str) -> Sequence[tuple[int, str]]:
    """Step and folder of each checkpoint, newest first."""
    statement = sa.select(checkpoints.c.step, checkpoints.c.path).where(checkpoints.c.job_id == job_id)
    rows = await session.execute(statement.order_by(checkpoints.c.step.desc()))
    return [(row.step, row.path) for row in rows]


async def forget_later_checkpoints(session: AsyncSession, job_id: str, *, step: int) -> None:
    """Removes what was recorded after a step from which a job goes on."""
    for table in (checkpoints, metrics):
        await session.execute(sa.delete(table).where(table.c.job_id == job_id, table.c.step > step))

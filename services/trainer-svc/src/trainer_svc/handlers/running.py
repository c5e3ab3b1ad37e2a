"""What a worker does to its jobs' rows while they run; nothing happens once a lease is lost."""

from datetime import UTC, datetime, timedelta
from enum import StrEnum

from loopwright.contracts.base import RunState
from loopwright.contracts.jobs import JobProgressed
from loopwright.unit_of_work import Work
from trainer_svc.domain.jobs import Job, Lease, ending_of_silent_worker, free_slot
from trainer_svc.handlers.endings import end_or_queue
from trainer_svc.recipes.progress import Checkpointed, Evaluated, Started, Stepped
from trainer_svc.store import jobs


class Holding(StrEnum):
    """What a heartbeat learns."""

    HELD = "held"
    STOP_ASKED = "stop asked"
    LOST = "lost"


async def take_next_job(
    unit: Work, *, owner: str, slots: tuple[str, ...], most: int, base_models: tuple[str, ...], ttl: timedelta
) -> Job | None:
    """Takes the job that has waited longest, if a device is free for it."""
    await jobs.lock_queue(unit.session)
    prefix = f"{owner}/"
    taken = [device.removeprefix(prefix) for device in await jobs.list_taken_devices(unit.session, prefix)]
    slot = free_slot(slots, taken, most=most)
    due = await jobs.find_due(unit.session, base_models) if slot is not None else None
    if slot is None or due is None:
        return None
    return await jobs.take(unit.session, str(due.job_id), owner=owner, device=prefix + slot, ttl=ttl)


async def recover_silent(unit: Work, *, max_attempts: int, owner: str | None = None) -> tuple[str, ...]:
    """Puts back into the queue, or ends, what workers left behind.

    Args:
        owner: All that this worker holds, because its process is known to be dead; by default, what nobody has
            renewed in time.

    Returns:
        Ids of the jobs.
    """
    await jobs.lock_queue(unit.session)
    rows = await (jobs.lock_silent(unit.session) if owner is None else jobs.lock_held_by(unit.session, owner))
    for row in rows:
        ending = ending_of_silent_worker(
            attempt=row.attempt, max_attempts=max_attempts, stop_requested=row.stop_requested
        )
        await end_or_queue(unit, row, ending)
    return tuple(str(row.job_id) for row in rows)


async def heartbeat(unit: Work, lease: Lease, *, expires_at: datetime) -> Holding:
    """Extends a lease."""
    row = await jobs.update_held(unit.session, lease, {"lease_expires_at": expires_at})
    if row is None:
        return Holding.LOST
    return Holding.STOP_ASKED if row.stop_requested else Holding.HELD


async def keep_run_id(unit: Work, lease: Lease, run_id: str) -> None:
    await jobs.update_held(unit.session, lease, {"mlflow_run_id": run_id})


async def record_line(unit: Work, job: Job, line: Started | Stepped | Evaluated, *, announce: bool) -> None:
    """Writes figures of a run and says so."""
    lease, now = job.lease, datetime.now(UTC)
    loss = line.loss if isinstance(line, Stepped) else None
    validation_loss = line.eval_loss if isinstance(line, Evaluated) else None
    speed = line.tokens_per_s if isinstance(line, Stepped) else None
    eta_s = line.eta_s if isinstance(line, Stepped) else None
    values: dict[str, object] = {"step": line.step, "total_steps": line.total_steps}
    values |= {"loss": loss, "tokens_per_s": speed, "eta_s": eta_s} if isinstance(line, Stepped) else {}
    values |= {"validation_loss": validation_loss} if isinstance(line, Evaluated) else {}
    row = await jobs.update_held(unit.session, lease, values)
    if row is None:
        return
    if isinstance(line, Stepped | Evaluated):
        figures = line.model_dump(
            include={"step", "epoch", "loss", "learning_rate", "grad_norm", "tokens_per_s", "device_memory_bytes"}
        )
        await jobs.add_metrics(unit.session, lease, {**figures, "validation_loss": validation_loss}, at=now)
    if announce:
        unit.announce(
            JobProgressed(
                job_id=lease.job_id, task_id=job.task_id, state=RunState.RUNNING, attempt=lease.attempt,
                step=line.step, total_steps=line.total_steps, loss=loss, validation_loss=validation_loss,
                learning_rate=line.learning_rate if isinstance(line, Stepped) else None,
                tokens_per_s=speed, eta_s=eta_s, at=now,
            ),
            traceparent=job.traceparent,
        )  # fmt: skip


async def record_checkpoint(unit: Work, job: Job, line: Checkpointed) -> None:
    if await jobs.update_held(unit.session, job.lease, {"step": line.step}) is not None:
        figures = line.model_dump(include={"step", "epoch", "path", "size_bytes"})
        await jobs.add_checkpoint(unit.session, job.lease, figures, at=datetime.now(UTC))

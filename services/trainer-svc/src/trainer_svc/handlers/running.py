"""What a worker does to its jobs' rows while they run; nothing happens once a lease is lost."""

from datetime import UTC, datetime
from enum import StrEnum

from loopwright.contracts.base import RunState
from loopwright.contracts.jobs import JobProgressed
from loopwright.unit_of_work import Work
from trainer_svc.domain.jobs import Job, Lease
from trainer_svc.recipes.progress import Checkpointed, Evaluated, Started, Stepped
from trainer_svc.store import jobs

_FIGURES = {
    "step", "epoch", "loss", "learning_rate", "grad_norm", "reward_margin", "reward_accuracy", "tokens_per_s",
    "device_memory_bytes",
}  # fmt: skip


class Holding(StrEnum):
    """What a heartbeat learns."""

    HELD = "held"
    STOP_ASKED = "stop asked"
    LOST = "lost"


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
        figures = line.model_dump(include=_FIGURES)
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


async def forget_later_checkpoints(unit: Work, job: Job) -> None:
    """Notes that an attempt goes on from an earlier checkpoint, and forgets what came after it."""
    if job.resume_from_step is not None and await jobs.update_held(unit.session, job.lease, {"resume_from_step": None}):
        await jobs.forget_later_checkpoints(unit.session, job.lease.job_id, step=job.resume_from_step)


async def record_checkpoint(unit: Work, job: Job, line: Checkpointed) -> None:
    """Records a checkpoint with the losses that the job had then."""
    row = await jobs.update_held(unit.session, job.lease, {"step": line.step})
    if row is not None:
        figures = line.model_dump(include={"step", "epoch", "path", "size_bytes"})
        figures |= {"loss": row.loss, "validation_loss": row.validation_loss}
        await jobs.add_checkpoint(unit.session, job.lease, figures, at=datetime.now(UTC))

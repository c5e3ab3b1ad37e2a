"""A job ends, once: its row and `job.finished` in one transaction."""

from datetime import UTC, datetime

from loopwright.contracts.base import RunState
from loopwright.contracts.jobs import JobFinished
from loopwright.unit_of_work import Work
from trainer_svc.domain.deprecations import ending_on
from trainer_svc.domain.jobs import Ending, Lease
from trainer_svc.store import jobs, queue
from trainer_svc.store.jobs import JobRow


async def end_attempt(unit: Work, lease: Lease, ending: Ending) -> bool:
    """Ends what a lease holds: for good, or back to the queue.

    Returns:
        False, and nothing changed, if the lease was lost.
    """
    row = await jobs.update_held(unit.session, lease, {"lease_expires_at": None})
    if row is None:
        return False
    await end_or_queue(unit, row, ending)
    return True


async def end_or_queue(unit: Work, row: JobRow, ending: Ending) -> None:
    """Does to a job what an ending says; the caller holds the row."""
    ending = ending_on(ending, version_id=row.training_data.version_id, deprecation=row.training_data_deprecated)
    await queue.free(unit.session, row.job_id)
    free = {"lease_expires_at": None, "lease_owner": None, "device": None}
    if ending.state is RunState.QUEUED:
        await jobs.change(
            unit.session, row.job_id, {"state": RunState.QUEUED, "reason": ending.reason, "eta_s": None, **free}
        )
    else:
        await jobs.change(unit.session, row.job_id, free)
        await announce_finished(unit, row, ending)


async def announce_finished(unit: Work, row: JobRow, ending: Ending) -> None:
    """Writes a job's end and says so, in the trace that asked for the job; the caller holds the row."""
    now = datetime.now(UTC)
    await jobs.change(
        unit.session,
        row.job_id,
        {
            "state": ending.state, "reason": ending.reason, "adapter": ending.adapter, "product": ending.product,
            "finished_at": now, "eta_s": None,
            "loss": row.loss if ending.final_loss is None else ending.final_loss,
            "validation_loss": row.validation_loss if ending.validation_loss is None else ending.validation_loss,
            "tokens": ending.tokens, "train_s": ending.train_s,
        },
    )  # fmt: skip
    unit.announce(
        JobFinished(
            job_id=row.job_id, job_name=row.job_name, task_id=row.task_id, state=ending.state, kind=row.kind,
            base_model=row.base_model, method=row.method, training_data=row.training_data,
            adapter=ending.adapter, product=ending.product, study_id=row.study_id, final_loss=ending.final_loss,
            validation_loss=ending.validation_loss, mlflow_run_id=row.mlflow_run_id,
            attempts=max(row.attempt, 1), reason=ending.reason, requested_by=row.requested_by, started_at=row.started_at, finished_at=now,
        ),
        traceparent=row.traceparent,
    )  # fmt: skip

"""People steer jobs that exist: resume them, move them in the queue, delete them (stopping is in `requests`)."""

import asyncio
import shutil
from datetime import UTC, datetime
from pathlib import Path

import structlog

from loopwright.contracts.base import RunState
from loopwright.errors import Conflict
from loopwright.unit_of_work import Work
from trainer_svc.domain.deprecations import refusal
from trainer_svc.domain.jobs import check_can_delete, check_can_resume, check_waits
from trainer_svc.store import deprecations, jobs

_log = structlog.get_logger()


async def resume_job(unit: Work, job_id: str, *, step: int | None, by: str) -> None:
    """Puts a job that was stopped or failed back into the queue, to go on from a checkpoint.

    Args:
        step: Of the checkpoint; None for the newest.

    Raises:
        NotFound: there is no such job.
        Conflict: it waits, runs or succeeded; its data must not be learned from any more; no such checkpoint is left.
    """
    await deprecations.lock(unit.session)
    row = await jobs.get_for_change(unit.session, job_id)
    check_can_resume(RunState(row.state))
    if row.training_data_deprecated is not None:
        version_id = row.training_data.version_id
        raise Conflict("job.data-deprecated", refusal(version_id, row.training_data_deprecated), version_id=version_id)
    found = await _existing_checkpoints(unit, job_id)
    if not found:
        raise Conflict("job.no-checkpoint", "the job left no checkpoint to go on from: ask for a new job")
    if step is not None and step not in found:
        there = ", ".join(map(str, found))
        raise Conflict("job.checkpoint-not-found", f"there is no checkpoint at step {step} (there are: {there})")
    now = datetime.now(UTC)
    await jobs.change(
        unit.session,
        job_id,
        {
            "state": RunState.QUEUED, "reason": f"resumed by {by}", "finished_at": None, "stop_requested": False,
            "queued_at": now, "attempts_forgiven": row.attempt,
            "resume_from_step": None if step == found[0] else step,
        },
    )  # fmt: skip
    _log.info("job.resumed", job_id=job_id, step=step or found[0], by=by)


async def _existing_checkpoints(unit: Work, job_id: str) -> tuple[int, ...]:
    """Steps of the checkpoints whose folders are still there, newest first: old ones are removed as it trains."""
    recorded = await jobs.list_checkpoints(unit.session, job_id)
    return tuple([step for step, path in recorded if await asyncio.to_thread(Path(path).is_dir)])


async def change_priority(unit: Work, job_id: str, priority: int) -> None:
    """Moves a waiting job in the queue.

    Raises:
        NotFound: there is no such job.
        Conflict: it runs or has ended.
    """
    row = await jobs.get_for_change(unit.session, job_id)
    check_waits(RunState(row.state))
    await jobs.change(unit.session, job_id, {"priority": priority})


async def delete_job(unit: Work, job_id: str, *, work_dir: Path, by: str) -> None:
    """Removes a job that has ended, with its figures, log and checkpoints; what it made stays, as models use it.

    The folder goes first: if that is all that happens, the job can be deleted again.

    Raises:
        NotFound: there is no such job.
        Conflict: it has not ended, or its folder cannot be removed.
    """
    row = await jobs.get_for_change(unit.session, job_id)
    check_can_delete(RunState(row.state))
    try:
        await asyncio.to_thread(shutil.rmtree, work_dir / job_id)
    except FileNotFoundError:
        pass  # it never began, or not here
    except OSError as error:
        raise Conflict("job.folder-stays", f"the job's folder cannot be removed: {error.strerror}") from error
    await jobs.delete(unit.session, job_id, by=by, at=datetime.now(UTC))
    _log.info("job.deleted", job_id=job_id, by=by)

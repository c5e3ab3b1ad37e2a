"""After the process: what its end means for the job, its result in storage, and the job's one end in the rows."""

import asyncio
from contextlib import suppress
from pathlib import Path

import structlog

from loopwright.contracts.base import Artifact, RunState
from loopwright.contracts.jobs import JobKind
from loopwright.errors import DependencyError, TrackingUnavailable
from trainer_svc.adapters.packing import pack
from trainer_svc.domain.jobs import Ending, Job, ending_of_dead_process
from trainer_svc.handlers.endings import end_attempt
from trainer_svc.jobs.attempt import Attempt
from trainer_svc.jobs.bench import Tools
from trainer_svc.recipes.progress import Failed, Finished

_log = structlog.get_logger()
_RUN_STATUS = {RunState.SUCCEEDED: "FINISHED", RunState.FAILED: "FAILED", RunState.STOPPED: "KILLED"}


async def ending_of(attempt: Attempt, tools: Tools, *, status: int) -> Ending:
    """What the process's last words and exit status mean; stores what it made."""
    line = attempt.last
    if isinstance(line, Finished) and status == 0:
        return await _success(attempt, line, tools)
    if isinstance(line, Failed):
        return Ending(state=RunState.FAILED, reason=f"{line.reason}. {line.advice} ({line.code})")
    if attempt.stop_asked:
        return Ending(state=RunState.STOPPED, reason="stopped on request; its last checkpoint is kept")
    return ending_after_crash(attempt.job, tools, status=status)


def ending_after_crash(job: Job, tools: Tools, *, status: int) -> Ending:
    attempt = job.lease.attempt - job.attempts_forgiven
    return ending_of_dead_process(status=status, attempt=attempt, max_attempts=tools.bench.max_attempts)


async def record_ending(attempt: Attempt, ending: Ending, tools: Tools) -> None:
    """Ends the job, or gives it back to the queue, once the database answers; nothing if the lease was lost."""
    while not attempt.lost:
        try:
            async with tools.work() as unit:
                attempt.lost = not await end_attempt(unit, attempt.job.lease, ending)
            break
        except DependencyError:
            await asyncio.sleep(0.5)
    _log.info("job.attempt-ended", job_id=attempt.job.lease.job_id, state=ending.state, reason=ending.reason)
    if ending.state in _RUN_STATUS and not attempt.lost:
        await _end_run(attempt, ending, tools)


async def give_back(attempt: Attempt, tools: Tools) -> None:
    """Puts the job back into the queue because the worker stops."""
    with suppress(DependencyError):  # if the database is away, the lease runs out by itself
        async with tools.work() as unit:
            ending = Ending(state=RunState.QUEUED, reason="the worker stopped; resumes from its last checkpoint")
            await end_attempt(unit, attempt.job.lease, ending)


async def _success(attempt: Attempt, line: Finished, tools: Tools) -> Ending:
    training = attempt.job.kind is JobKind.TRAIN
    archive = attempt.folder / ("adapter.tar" if training else "product.tar")
    await asyncio.to_thread(pack, Path(line.adapter_dir), archive)
    result = await _put(archive, "adapters" if training else "products", tools)
    return Ending(
        state=RunState.SUCCEEDED, adapter=result if training else None, product=None if training else result,
        final_loss=line.final_loss, validation_loss=line.eval_loss, tokens=line.tokens, train_s=line.train_seconds,
    )  # fmt: skip


async def _put(archive: Path, kind: str, tools: Tools) -> Artifact:
    while True:
        try:
            return await tools.storage.put_file(archive, kind=kind, suffix=".tar", media_type="application/x-tar")
        except DependencyError as error:  # what was learned is worth the wait
            _log.warning("job.waits", reason=str(error))
            await asyncio.sleep(2)


async def _end_run(attempt: Attempt, ending: Ending, tools: Tools) -> None:
    job = attempt.job
    facts = {"loopwright.attempts": str(job.lease.attempt)}
    if ending.reason is not None:
        facts["loopwright.reason"] = ending.reason
    try:
        run_id = await tools.runs.ensure_run(job)
        await tools.runs.end_run(run_id, status=_RUN_STATUS[ending.state], folder=attempt.folder, facts=facts)
    except TrackingUnavailable as error:
        _log.warning("job.run-left-open", job_id=job.lease.job_id, reason=str(error))

"""While the process runs: its lines become rows and events, its lease is kept, and it hears of a stop."""

import asyncio
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import structlog
from pydantic import ValidationError

from loopwright.contracts.jobs import JobKind
from loopwright.errors import DependencyError
from trainer_svc.domain.jobs import module_of
from trainer_svc.handlers.running import Holding, heartbeat, record_checkpoint, record_line
from trainer_svc.jobs.attempt import Attempt
from trainer_svc.jobs.bench import Tools
from trainer_svc.recipes.progress import AnyLine, Checkpointed, Evaluated, Started, Stepped, parse_line

_log = structlog.get_logger()
_ANNOUNCE_EVERY_S = 2.0
_DELAY_S = 0.5


async def run_process(attempt: Attempt, job_file: Path, tools: Tools) -> int:
    """Runs the training process to its end, and records what it says.

    Returns:
        Its exit status; negative is the signal that ended it.

    Raises:
        DependencyError: what starts it is away.
    """
    job = attempt.job
    process = await tools.launcher.launch(
        tools.bench.recipe or module_of(job.kind, job.objective, job.hyperparameters.trainer), job_file, devices=job.devices,
        sharding=job.hyperparameters.sharding if job.kind is JobKind.TRAIN else None, log_file=attempt.folder / "log.txt",
    )  # fmt: skip
    attempt.process = process
    try:
        async for raw in process.lines():
            line = _read_line(raw)
            if line is not None:
                attempt.last = line
                await _patiently(attempt, line, tools)
        return await process.wait()
    except asyncio.CancelledError:
        process.ask_to_stop()
        with suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), tools.bench.grace_s)
        raise
    finally:
        process.kill()


async def keep_lease(attempt: Attempt, tools: Tools) -> None:
    """Heartbeats; stops the process when asked to, kills it when the lease is lost or may be."""
    lease, renewed = tools.bench.lease, time.monotonic()
    while True:
        await asyncio.sleep(lease.total_seconds() / 4)
        try:
            async with tools.work() as unit:
                holding = await heartbeat(unit, attempt.job.lease, expires_at=datetime.now(UTC) + lease)
            renewed = time.monotonic()
        except DependencyError:
            late = time.monotonic() - renewed > lease.total_seconds()
            holding = Holding.LOST if late else Holding.HELD
        if holding is Holding.LOST:
            attempt.lost = True
            _log.warning("job.lease-lost", job_id=attempt.job.lease.job_id)
            if attempt.process is not None:
                attempt.process.kill()
            return
        attempt.stop_wanted = attempt.stop_wanted or holding is Holding.STOP_ASKED
        if attempt.stop_wanted and not attempt.stop_asked and attempt.process is not None:
            attempt.stop_asked = True
            attempt.process.ask_to_stop()


async def _patiently(attempt: Attempt, line: AnyLine, tools: Tools) -> None:
    """Records a line; while the database is away the process is left to fill its pipe and wait."""
    while not attempt.lost:
        try:
            await _record(attempt, line, tools)
        except DependencyError:
            await asyncio.sleep(_DELAY_S)
        else:
            return


async def _record(attempt: Attempt, line: AnyLine, tools: Tools) -> None:
    match line:
        case Checkpointed():
            async with tools.work() as unit:
                await record_checkpoint(unit, attempt.job, line)
        case Started() | Stepped() | Evaluated():
            now = time.monotonic()
            due = not isinstance(line, Stepped) or now - attempt.announced_at >= _ANNOUNCE_EVERY_S
            async with tools.work() as unit:
                await record_line(unit, attempt.job, line, announce=due)
            attempt.announced_at = now if due else attempt.announced_at
        case _:
            pass


def _read_line(raw: bytes) -> AnyLine | None:
    try:
        return parse_line(raw)
    except ValidationError:
        _log.warning("training.strange-line", text=raw[:200].decode("utf-8", "replace"))
        return None

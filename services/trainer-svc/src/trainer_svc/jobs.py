"""The worker: takes jobs from the queue under leases, runs each in a process of its own, brings each to one end."""

import asyncio
import fcntl
import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import structlog
from pydantic import ValidationError

from loopwright.contracts.base import Artifact, RunState
from loopwright.errors import ContractError, DependencyError, TrackingUnavailable
from loopwright.repeating import repeat
from loopwright.settings import CommonSettings
from loopwright.storage import Storage
from loopwright.telemetry import continued_span, current_traceparent
from loopwright.unit_of_work import PostgresWork
from trainer_svc.adapters.packing import pack
from trainer_svc.adapters.processes import TrainingProcess
from trainer_svc.adapters.tracking import MlflowRuns
from trainer_svc.domain.jobs import Ending, Job, ending_of_dead_process
from trainer_svc.handlers.endings import end_attempt
from trainer_svc.handlers.running import (
    Holding,
    heartbeat,
    keep_run_id,
    record_checkpoint,
    record_line,
    recover_silent,
    take_next_job,
)
from trainer_svc.recipes.job_file import JobFile, TraceTarget, TrackingTarget
from trainer_svc.recipes.progress import (
    AnyLine,
    Checkpointed,
    Evaluated,
    Failed,
    Finished,
    Started,
    Stepped,
    parse_line,
)

_log = structlog.get_logger()
_ANNOUNCE_EVERY_S = 2.0
_TRAIN, _VALIDATION = "train.jsonl", "validation.jsonl"
_RUN_STATUS = {RunState.SUCCEEDED: "FINISHED", RunState.FAILED: "FAILED", RunState.STOPPED: "KILLED"}


@dataclass(frozen=True, kw_only=True)
class Bench:
    """What a worker works with.

    Attributes:
        owner: Its name; one process works under it at a time.
        slots: Devices, each for one job at a time.
        most_jobs: Jobs that run at the same time.
        lease: Silence after which it counts as dead.
        max_attempts: Starts of one job after which a dying process fails it.
        grace_s: Time for a checkpoint when the service stops.
        cpu_threads: Threads of one CPU job; None lets torch choose.
        recipe: Module that runs a job.
    """

    owner: str
    work_dir: Path
    base_models: dict[str, Path]
    slots: tuple[str, ...]
    most_jobs: int
    lease: timedelta
    max_attempts: int
    grace_s: float
    cpu_threads: int | None
    recipe: str


class _StopAskedWhilePreparing(Exception):
    """There is no process yet that could be asked."""


@dataclass
class _Attempt:
    """One running attempt, and what its process has said so far.

    Attributes:
        stop_wanted: Somebody wants it to end.
        stop_asked: Its process was told.
    """

    job: Job
    folder: Path
    process: TrainingProcess | None = None
    last: AnyLine | None = None
    stop_wanted: bool = False
    stop_asked: bool = False
    lost: bool = False
    announced_at: float = field(default=0.0)


class Worker:
    """Runs jobs on this machine's devices.

    Args:
        common: Where traces and MLflow are.
    """

    def __init__(self, work: PostgresWork, storage: Storage, *, common: CommonSettings, bench: Bench) -> None:
        self._work = work
        self._storage = storage
        self._common = common
        self._bench = bench
        self._runs = MlflowRuns(common.mlflow_uri)
        self._running: dict[str, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Works until cancelled; then asks its processes for a checkpoint and gives their jobs back.

        Raises:
            BlockingIOError: another process works under this name and folder.
        """
        folder = self._bench.work_dir
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / ".worker.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # nobody else works under this name: what it still holds was left by a process that is dead
            await self._release_leases()
            try:
                await repeat(self._start_next, name="training queue")
            finally:
                tasks = tuple(self._running.values())
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def _release_leases(self) -> None:
        while True:
            try:
                async with self._work() as unit:
                    released = await recover_silent(
                        unit, max_attempts=self._bench.max_attempts, owner=self._bench.owner
                    )
            except DependencyError:
                await asyncio.sleep(1)
            else:
                break
        if released:
            _log.info("jobs.released", jobs=list(released))

    async def _start_next(self) -> bool:
        bench = self._bench
        async with self._work() as unit:
            silent = await recover_silent(unit, max_attempts=bench.max_attempts)
        if silent:
            _log.warning("jobs.worker-silent", jobs=list(silent))
        if len(self._running) >= bench.most_jobs:
            return False
        async with self._work() as unit:
            job = await take_next_job(
                unit, owner=bench.owner, slots=bench.slots, most=bench.most_jobs,
                base_models=tuple(bench.base_models), ttl=bench.lease,
            )  # fmt: skip
        if job is None:
            return False
        job_id = job.lease.job_id
        task = asyncio.create_task(self._run_job(job, after=self._running.get(job_id)), name=job_id)
        self._running[job_id] = task
        task.add_done_callback(lambda done: self._running.pop(job_id) if self._running[job_id] is done else None)
        return True

    async def _run_job(self, job: Job, *, after: asyncio.Task[None] | None) -> None:
        """Runs one attempt to its end.

        Args:
            after: Earlier attempt of this worker that lost its lease while the database was away and may not know it
                yet: two processes must never share a job's folder.
        """
        _log.info("job.starts", job_id=job.lease.job_id, attempt=job.lease.attempt, device=job.device)
        attempt = _Attempt(job, self._bench.work_dir / job.lease.job_id)
        beating = asyncio.create_task(self._keep_lease(attempt))
        if after is not None:
            await asyncio.wait({after})
        attributes = {"job_id": job.lease.job_id, "attempt": job.lease.attempt}
        with continued_span("train", traceparent=job.traceparent, attributes=attributes):
            try:
                ending = await self._attempt(attempt)
            except asyncio.CancelledError:
                beating.cancel()
                await self._give_back(attempt)
                raise
            except _StopAskedWhilePreparing:
                ending = Ending(state=RunState.STOPPED, reason="stopped before its data was there")
            except ContractError as error:  # its data is not what was promised
                ending = Ending(state=RunState.FAILED, reason=f"the training data cannot be used: {error.detail}")
            except Exception as error:  # noqa: BLE001 - one job must not end the worker
                _log.exception("job.attempt-broke-off", job_id=job.lease.job_id, exc_info=error)
                ending = self._ending_after_crash(job, status=1)
            finally:
                await asyncio.to_thread(_forget_data, attempt.folder)
            beating.cancel()
            await self._end(attempt, ending)

    async def _attempt(self, attempt: _Attempt) -> Ending:
        job_file = await self._prepare(attempt)
        device = attempt.job.device.rpartition("/")[2]
        process = await TrainingProcess.launch(
            self._bench.recipe, job_file, device=device, log_file=attempt.folder / "log.txt"
        )
        attempt.process = process
        try:
            async for raw in process.lines():
                line = _read_line(raw)
                if line is None:
                    continue
                attempt.last = line
                await self._patiently(attempt, line)
            status = await process.wait()
        except asyncio.CancelledError:
            process.ask_to_stop()
            with suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), self._bench.grace_s)
            raise
        finally:
            process.kill()
        return await self._ending(attempt, status=status)

    async def _prepare(self, attempt: _Attempt) -> Path:
        """Lays out the job's folder: data by content, and the job file."""
        job, folder = attempt.job, attempt.folder
        folder.mkdir(parents=True, exist_ok=True)
        data = job.training_data
        await self._fetch(attempt, data.train.artifact, folder / _TRAIN)
        validation = None
        if data.validation.samples:
            validation = folder / _VALIDATION
            await self._fetch(attempt, data.validation.artifact, validation)
        content = JobFile(
            job_id=job.lease.job_id, attempt=job.lease.attempt, base_model=self._bench.base_models[job.base_model],
            train_file=folder / _TRAIN, validation_file=validation, checkpoint_dir=folder / "checkpoints",
            output_dir=folder / "adapter", method=job.method, hyperparameters=job.hyperparameters,
            cpu_threads=self._bench.cpu_threads, tracking=await self._tracking(job),
            trace=TraceTarget(
                traceparent=current_traceparent(), otlp_endpoint=self._common.otlp_endpoint,
                trace_dir=self._common.trace_dir,
            ),
        )  # fmt: skip
        job_file = folder / "job.json"
        job_file.write_text(content.model_dump_json(indent=1))
        return job_file

    async def _fetch(self, attempt: _Attempt, artifact: Artifact, path: Path) -> None:
        while True:
            if attempt.stop_wanted:  # perhaps because the data was erased, and will never be there
                raise _StopAskedWhilePreparing
            try:
                await self._storage.fetch(artifact, path)
            except DependencyError as error:  # storage is away: the job holds its lease and waits
                _log.warning("job.waits", reason=str(error))
                await asyncio.sleep(2)
            else:
                return

    async def _put(self, archive: Path) -> Artifact:
        while True:
            try:
                return await self._storage.put_file(
                    archive, kind="adapters", suffix=".tar", media_type="application/x-tar"
                )
            except DependencyError as error:  # what was learned is worth the wait
                _log.warning("job.waits", reason=str(error))
                await asyncio.sleep(2)

    async def _tracking(self, job: Job) -> TrackingTarget | None:
        try:
            run_id = job.mlflow_run_id or await self._runs.ensure_run(job)
            async with self._work() as unit:
                await keep_run_id(unit, job.lease, run_id)
        except DependencyError as error:  # figures are kept in our own rows as well: training need not wait for MLflow
            _log.warning("job.untracked", job_id=job.lease.job_id, reason=str(error))
            return None
        return TrackingTarget(uri=self._runs.uri, run_id=run_id)

    async def _patiently(self, attempt: _Attempt, line: AnyLine) -> None:
        """Records a line; while the database is away the process is left to fill its pipe and wait."""
        while not attempt.lost:
            try:
                await self._record(attempt, line)
            except DependencyError:
                await asyncio.sleep(0.5)
            else:
                return

    async def _record(self, attempt: _Attempt, line: AnyLine) -> None:
        match line:
            case Checkpointed():
                async with self._work() as unit:
                    await record_checkpoint(unit, attempt.job, line)
            case Started() | Stepped() | Evaluated():
                now = time.monotonic()
                due = not isinstance(line, Stepped) or now - attempt.announced_at >= _ANNOUNCE_EVERY_S
                async with self._work() as unit:
                    await record_line(unit, attempt.job, line, announce=due)
                attempt.announced_at = now if due else attempt.announced_at
            case _:
                pass

    async def _ending(self, attempt: _Attempt, *, status: int) -> Ending:
        line = attempt.last
        if isinstance(line, Finished) and status == 0:
            archive = attempt.folder / "adapter.tar"
            await asyncio.to_thread(pack, Path(line.adapter_dir), archive)
            adapter = await self._put(archive)
            return Ending(
                state=RunState.SUCCEEDED, adapter=adapter, final_loss=line.final_loss, validation_loss=line.eval_loss
            )
        if isinstance(line, Failed):
            return Ending(state=RunState.FAILED, reason=f"{line.reason}. {line.advice} ({line.code})")
        if attempt.stop_asked:
            return Ending(state=RunState.STOPPED, reason="stopped on request; its last checkpoint is kept")
        return self._ending_after_crash(attempt.job, status=status)

    def _ending_after_crash(self, job: Job, *, status: int) -> Ending:
        return ending_of_dead_process(status=status, attempt=job.lease.attempt, max_attempts=self._bench.max_attempts)

    async def _end(self, attempt: _Attempt, ending: Ending) -> None:
        while not attempt.lost:
            try:
                async with self._work() as unit:
                    attempt.lost = not await end_attempt(unit, attempt.job.lease, ending)
                break
            except DependencyError:
                await asyncio.sleep(0.5)
        _log.info("job.attempt-ended", job_id=attempt.job.lease.job_id, state=ending.state, reason=ending.reason)
        if attempt.job.mlflow_run_id is not None or ending.state in _RUN_STATUS:
            await self._end_run(attempt.job, ending.state)

    async def _end_run(self, job: Job, state: RunState) -> None:
        if state not in _RUN_STATUS:
            return
        try:
            await self._runs.end_run(await self._runs.ensure_run(job), status=_RUN_STATUS[state])
        except TrackingUnavailable as error:
            _log.warning("job.run-left-open", job_id=job.lease.job_id, reason=str(error))

    async def _give_back(self, attempt: _Attempt) -> None:
        with suppress(DependencyError):  # if the database is away, the lease runs out by itself
            async with self._work() as unit:
                ending = Ending(state=RunState.QUEUED, reason="the worker stopped; resumes from its last checkpoint")
                await end_attempt(unit, attempt.job.lease, ending)

    async def _keep_lease(self, attempt: _Attempt) -> None:
        """Heartbeats; stops the process when asked to, kills it when the lease is lost or may be."""
        renewed = time.monotonic()
        while True:
            await asyncio.sleep(self._bench.lease.total_seconds() / 4)
            try:
                async with self._work() as unit:
                    holding = await heartbeat(unit, attempt.job.lease, expires_at=datetime.now(UTC) + self._bench.lease)
                renewed = time.monotonic()
            except DependencyError:
                late = time.monotonic() - renewed > self._bench.lease.total_seconds()
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


def _forget_data(folder: Path) -> None:
    """What people wrote lies here in plain text, and no longer than a process reads it."""
    for name in (_TRAIN, _VALIDATION):
        (folder / name).unlink(missing_ok=True)


def _read_line(raw: bytes) -> AnyLine | None:
    try:
        return parse_line(raw)
    except ValidationError:
        _log.warning("training.strange-line", text=raw[:200].decode("utf-8", "replace"))
        return None

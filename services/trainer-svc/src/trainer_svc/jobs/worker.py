"""The worker: takes jobs from the queue under leases, runs each in a process of its own, brings each to one end."""

import asyncio
import fcntl
import time
from contextlib import suppress
from datetime import timedelta

import structlog

from loopwright.contracts.base import RunState
from loopwright.errors import ContractError, DependencyError
from loopwright.repeating import repeat
from loopwright.telemetry import continued_span
from trainer_svc.adapters.memory import DeviceMemory, read_memory
from trainer_svc.domain.jobs import Ending, Job
from trainer_svc.domain.waiting import WorkerState
from trainer_svc.handlers.queueing import Offer, recover_silent, report_worker, take_next_job
from trainer_svc.jobs.attempt import Attempt, StopAskedWhilePreparing
from trainer_svc.jobs.bench import Tools
from trainer_svc.jobs.ending import ending_after_crash, ending_of, give_back, record_ending
from trainer_svc.jobs.preparing import forget_data, lay_out
from trainer_svc.jobs.watching import keep_lease, run_process

_log = structlog.get_logger()
_MEASURE_EVERY_S = 2.0


class Worker:
    """Runs jobs on this machine's devices."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._bench = tools.bench
        self._work = tools.work
        self._running: dict[str, asyncio.Task[None]] = {}
        self._memory = DeviceMemory()
        self._measured_at = self._reported_at = float("-inf")

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
                await self._say_goodbye()

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
        await self._measure()
        await self._report()
        async with self._work() as unit:
            silent = await recover_silent(unit, max_attempts=self._bench.max_attempts)
        if silent:
            _log.warning("jobs.worker-silent", jobs=list(silent))
        if len(self._running) >= self._bench.most_jobs:
            return False
        async with self._work() as unit:
            job = await take_next_job(unit, self._offer(lease=self._bench.lease))
        if job is None:
            return False
        job_id = job.lease.job_id
        task = asyncio.create_task(self._run_job(job, after=self._running.get(job_id)), name=job_id)
        self._running[job_id] = task
        task.add_done_callback(lambda done: self._running.pop(job_id) if self._running[job_id] is done else None)
        return True

    async def _measure(self) -> None:
        now = time.monotonic()
        if now - self._measured_at >= _MEASURE_EVERY_S:
            self._memory, self._measured_at = await read_memory(self._bench.slots), now

    async def _report(self) -> None:
        now = time.monotonic()
        if now - self._reported_at >= self._bench.lease.total_seconds() / 4:
            async with self._work() as unit:
                await report_worker(unit, self._offer(lease=self._bench.lease))
            self._reported_at = now

    async def _say_goodbye(self) -> None:
        with suppress(DependencyError):
            async with self._work() as unit:
                await report_worker(unit, self._offer(lease=timedelta(0)))

    def _offer(self, *, lease: timedelta) -> Offer:
        bench = self._bench
        state = WorkerState(
            name=bench.owner, slots=bench.slots, base_models=tuple(sorted(bench.installed.folders)),
            trainers=tuple(sorted(bench.installed.programs)),
            most_jobs=bench.most_jobs, held={}, total_bytes=self._memory.total_bytes,
            free_bytes=self._memory.free_bytes,
        )  # fmt: skip
        return Offer(worker=state, installed=bench.installed, lease=lease, keep_after=bench.keep_after)

    async def _run_job(self, job: Job, *, after: asyncio.Task[None] | None) -> None:
        """Runs one attempt to its end.

        Args:
            after: Earlier attempt of this worker that lost its lease while the database was away and may not know it
                yet: two processes must never share a job's folder.
        """
        _log.info("job.starts", job_id=job.lease.job_id, attempt=job.lease.attempt, devices=list(job.devices))
        attempt = Attempt(job, self._bench.work_dir / job.lease.job_id)
        beating = asyncio.create_task(keep_lease(attempt, self._tools))
        if after is not None:
            await asyncio.wait({after})
        attributes = {"job_id": job.lease.job_id, "attempt": job.lease.attempt}
        with continued_span("train", traceparent=job.traceparent, attributes=attributes):
            try:
                ending = await self._attempt(attempt)
            except asyncio.CancelledError:
                beating.cancel()
                await give_back(attempt, self._tools)
                raise
            finally:
                await asyncio.to_thread(forget_data, attempt.folder)
            beating.cancel()
            await record_ending(attempt, ending, self._tools)

    async def _attempt(self, attempt: Attempt) -> Ending:
        try:
            job_file = await lay_out(attempt, self._tools)
            status = await run_process(attempt, job_file, self._tools)
            return await ending_of(attempt, self._tools, status=status)
        except StopAskedWhilePreparing:
            return Ending(state=RunState.STOPPED, reason="stopped before its data was there")
        except ContractError as error:
            return Ending(state=RunState.FAILED, reason=f"its data cannot be used: {error.detail}")
        except DependencyError as error:  # of the launcher: all else is waited for
            return Ending(state=RunState.QUEUED, reason=f"it could not be started: {error.detail}")
        except Exception as error:  # noqa: BLE001 - one job must not end the worker
            _log.exception("job.attempt-broke-off", job_id=attempt.job.lease.job_id, exc_info=error)
            return ending_after_crash(attempt.job, self._tools, status=1)

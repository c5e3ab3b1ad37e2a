"""The queue at work: workers say that they live, take jobs with all their slots, and give back what the dead held."""

from dataclasses import dataclass
from datetime import timedelta

import structlog

from loopwright.contracts.base import RunState
from loopwright.unit_of_work import Work
from trainer_svc.domain.installed import Installed
from trainer_svc.domain.jobs import Ending, Job, ending_of_silent_worker
from trainer_svc.domain.memory import ADVICE
from trainer_svc.domain.queue import Demand, in_turn, kind_of, next_to_start
from trainer_svc.domain.waiting import WorkerState, lacking, too_large
from trainer_svc.handlers.endings import announce_finished, end_or_queue
from trainer_svc.store import jobs, queue

_log = structlog.get_logger()
_MOST_BYTES = (1 << 63) - 1  # of a column; more is asked for only where nobody knows what there is


@dataclass(frozen=True, kw_only=True)
class Offer:
    """What a worker has for the queue.

    Attributes:
        worker: Its name, slots and memory; what it holds is read from the rows.
        installed: What it has to train with.
        lease: Silence after which it counts as dead.
        keep_after: How long a job is passed over before its slots are kept for it.
    """

    worker: WorkerState
    installed: Installed
    lease: timedelta
    keep_after: timedelta


async def report_worker(unit: Work, offer: Offer) -> None:
    """Records that a worker lives, and what it has."""
    await queue.keep_worker(unit.session, offer.worker, alive_for=offer.lease)


async def take_next_job(unit: Work, offer: Offer) -> Job | None:
    """Takes the job whose turn it is among those that fit; ends those that no worker could ever hold in memory."""
    session, me = unit.session, offer.worker
    await queue.lock_queue(session)
    held = [holding for holding in await queue.list_held(session) if holding.worker == me.name]
    if len(held) >= len(me.slots) or len({holding.job_id for holding in held}) >= me.most_jobs:
        return None
    waiting = await queue.list_waiting(session, offer.installed.shapes)
    if not waiting:
        return None
    await report_worker(unit, offer)
    workers = {worker.name: worker for worker in await queue.list_workers(session)}
    too_much = await _end_too_large(unit, waiting, tuple(workers.values()))
    me = workers[me.name]
    mine = [one for one in waiting if one.job_id not in too_much and lacking(one, me) is None]
    ordered = in_turn(mine, await queue.list_turns(session))
    chosen = next_to_start(ordered, me.room, now=await queue.now(session), keep_after=offer.keep_after)
    if chosen is None:
        return None
    demand, slots = chosen
    need = demand.need_bytes.get(kind_of(slots[0]))
    memory_bytes = None if need is None else min(need, _MOST_BYTES)
    return await queue.take(
        session, demand.job_id, owner=me.name, slots=slots, ttl=offer.lease, memory_bytes=memory_bytes
    )


async def _end_too_large(unit: Work, waiting: list[Demand], workers: tuple[WorkerState, ...]) -> set[str]:
    ended: set[str] = set()
    for demand in waiting:
        words = too_large(demand, workers)
        if words is not None:
            row = await jobs.get_for_change(unit.session, demand.job_id)
            ended.add(demand.job_id)
            if RunState(row.state) is RunState.QUEUED:
                reason = f"not started, for lack of memory: {words}. Advice: {ADVICE} (training.too-large)"
                await announce_finished(unit, row, Ending(state=RunState.FAILED, reason=reason))
                _log.warning("job.too-large", job_id=demand.job_id, reason=words)
    return ended


async def recover_silent(unit: Work, *, max_attempts: int, owner: str | None = None) -> tuple[str, ...]:
    """Puts back into the queue, or ends, what workers left behind.

    Args:
        owner: All that this worker holds, because its process is known to be dead; by default, what nobody has
            renewed in time.

    Returns:
        Ids of the jobs.
    """
    await queue.lock_queue(unit.session)
    rows = await (jobs.lock_silent(unit.session) if owner is None else jobs.lock_held_by(unit.session, owner))
    for row in rows:
        ending = ending_of_silent_worker(
            attempt=row.attempt - row.attempts_forgiven, max_attempts=max_attempts, stop_requested=row.stop_requested
        )
        await end_or_queue(unit, row, ending)
    return tuple(str(row.job_id) for row in rows)

"""What a waiting job waits for, in words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from trainer_svc.domain.queue import Demand, Room, could_hold, kind_of, lacking_pool, pool_of, slot_choices

_MOST_WORKERS_TOLD = 3


@dataclass(frozen=True, kw_only=True)
class WorkerState:
    """A worker that lives, and what it is busy with.

    Attributes:
        most_jobs: Its places: jobs that it runs at the same time.
        held: Jobs by the slots that they hold.
        trainers: Other projects' trainers that it has.
        total_bytes: Memory of a pool when nothing runs.
        free_bytes: Memory by pool that nothing uses, at the last heartbeat.
    """

    name: str
    slots: tuple[str, ...]
    base_models: tuple[str, ...]
    most_jobs: int
    held: Mapping[str, str]
    total_bytes: Mapping[str, int]
    free_bytes: Mapping[str, int]
    trainers: tuple[str, ...] = ()

    @property
    def jobs(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self.held.values()))

    @property
    def room(self) -> Room:
        return Room(slots=self.slots, taken=frozenset(self.held), free_bytes=self.free_bytes)


def waiting_for(demand: Demand, workers: Sequence[WorkerState], *, ahead: int) -> str:
    """What must happen before a job starts.

    Args:
        workers: Those that live.
        ahead: Waiting jobs whose turn comes before.
    """
    if not workers:
        return "a worker: none has been heard of lately"
    equipped = [worker for worker in workers if lacking(demand, worker) is None]
    if not equipped:
        return " and ".join(dict.fromkeys(words for one in workers if (words := lacking(demand, one)) is not None))
    able = [worker for worker in equipped if could_hold(demand, worker.slots)]
    if not able:
        there = ", ".join(f"{worker.name} has {', '.join(worker.slots)}" for worker in equipped)
        return f"{_wanted(demand)}: no worker with its base model has them ({there})"
    told = [_at(worker, demand, ahead=ahead) for worker in able[:_MOST_WORKERS_TOLD]]
    more = len(able) - len(told)
    return "; or ".join(dict.fromkeys(told)) + (f"; or the like of {more} other workers" if more else "")


def lacking(demand: Demand, worker: WorkerState) -> str | None:
    """What a worker has not installed that a job needs; None if it has all."""
    for model in demand.models:
        if model not in worker.base_models:
            return f"its base model {model}, which worker {worker.name} does not have"
    if demand.trainer is not None and demand.trainer not in worker.trainers:
        return f"its trainer {demand.trainer}, which worker {worker.name} does not have"
    return None


def _at(worker: WorkerState, demand: Demand, *, ahead: int) -> str:
    jobs = worker.jobs
    if len(jobs) >= worker.most_jobs:
        places = "the place" if worker.most_jobs == 1 else f"one of {worker.most_jobs} places"
        return f"{places} of worker {worker.name}: {_and(jobs)} {'runs' if len(jobs) == 1 else 'run'}"
    busy = _busy_slots(worker, demand)
    if busy:
        return busy
    free = [slot for slot in demand.devices or worker.slots if slot not in worker.held]
    lacking = lacking_pool(demand, free[: demand.device_count], worker.free_bytes)
    if lacking is not None:
        return _memory(worker, demand, lacking)
    return f"its turn: {ahead} {'job goes' if ahead == 1 else 'jobs go'} first" if ahead else "the worker's next look"


def _busy_slots(worker: WorkerState, demand: Demand) -> str | None:
    wanted = demand.devices or worker.slots
    taken = [slot for slot in wanted if slot in worker.held]
    held = ", ".join(f"slot {slot}, held by {worker.held[slot]}" for slot in taken)
    if demand.devices:
        at_once = " (all of its slots at once)" if len(demand.devices) > 1 else ""
        return f"{held}{at_once}" if taken else None
    free = [slot for slot in wanted if slot not in worker.held]
    if any(sum(kind_of(other) == kind_of(slot) for other in free) >= demand.device_count for slot in free):
        return None
    return held if demand.device_count == 1 else f"{_wanted(demand)}: {held}"


def _memory(worker: WorkerState, demand: Demand, pool: str) -> str:
    slots = [slot for slot in demand.devices or worker.slots if pool_of(slot) == pool][: demand.device_count]
    need = sum(demand.need_bytes.get(kind_of(slot), 0) for slot in slots)
    return f"memory of {pool} on worker {worker.name}: it needs about {gigabytes(need)}, free are " + gigabytes(
        worker.free_bytes[pool]
    )


def _wanted(demand: Demand) -> str:
    if demand.devices:
        return f"slot{'s' if len(demand.devices) > 1 else ''} {', '.join(demand.devices)}"
    return f"{demand.device_count} slots of one kind at once"


def gigabytes(size_bytes: float) -> str:
    return f"{size_bytes / 1e9:.1f} GB"


def _and(names: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def too_large(demand: Demand, workers: Sequence[WorkerState]) -> str | None:
    """Why no worker that lives could ever hold a job in memory; None if one could, or nobody knows."""
    told: list[str] = []
    for worker in workers:
        if lacking(demand, worker) is not None:
            continue
        for slots in slot_choices(demand, worker.slots):
            pool = lacking_pool(demand, slots, worker.total_bytes)
            if pool is None:
                return None
            need = sum(demand.need_bytes[kind_of(slot)] for slot in slots if pool_of(slot) == pool)
            there = gigabytes(worker.total_bytes[pool])
            told.append(f"it needs about {gigabytes(need)} on {pool}, and worker {worker.name} has {there}")
    return "; ".join(dict.fromkeys(told)) or None

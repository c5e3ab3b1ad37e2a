"""The queue's rules: whose turn it is, which slots a job takes at once, and for whom slots are kept free.

1. A higher priority goes first.
2. Among equal priorities parties take turns: the one with fewest jobs running (its waiting ones counted in their
   order), then the one whose last start, or if it had none its asking, is longest ago. Within a party the order of
   asking holds. A party is whoever asked; for jobs by policy it is the task.
3. A job takes all its slots at once or none. One whose slots are not free, or lack memory, is passed over by others.
4. One that has been passed over for too long keeps its slots: as they fall free, nobody behind it gets them, and if
   it needs several, later jobs of its own party do not start either. Its party then moves to the front by rule 2, so
   it waits for nothing but jobs that run already, and higher priorities.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from loopwright.contracts.jobs import BY_POLICY


@dataclass(frozen=True, kw_only=True)
class Demand:
    """What a waiting job wants.

    Attributes:
        party: Whose turn it is when it starts.
        models: Base models that a worker must have for it.
        trainer: Other project's trainer that a worker must have for it; None: no other's.
        devices: Slots by name; empty: any of one kind.
        device_count: Slots that it runs on.
        requested_at: Order within a party.
        queued_at: Since when it waits.
        need_bytes: Estimated memory by kind of device (`cpu`, `cuda`), for each device; none if it is unknown.
    """

    job_id: str
    party: str
    priority: int
    models: tuple[str, ...]
    devices: tuple[str, ...]
    device_count: int
    requested_at: datetime
    queued_at: datetime
    need_bytes: Mapping[str, int] = field(default_factory=dict)
    trainer: str | None = None


@dataclass(frozen=True, kw_only=True)
class Turn:
    """What a party has had."""

    running: int = 0
    last_start: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Room:
    """What a worker can give.

    Attributes:
        slots: All of them, in order of preference.
        taken: Those that jobs hold.
        free_bytes: Free memory by pool (see `pool_of`); pools of unknown size are left out.
    """

    slots: tuple[str, ...]
    taken: frozenset[str]
    free_bytes: Mapping[str, int] = field(default_factory=dict)


def kind_of(slot: str) -> str:
    """`cpu` or `cuda`."""
    return slot.partition(":")[0]


def pool_of(slot: str) -> str:
    """What a slot's memory is counted in: each GPU has its own, all CPU slots share the machine's."""
    return "cpu" if kind_of(slot) == "cpu" else slot


def party_of(*, requested_by: str, task_id: str) -> str:
    return f"task {task_id}" if requested_by == BY_POLICY else requested_by


def in_turn(waiting: Iterable[Demand], turns: Mapping[str, Turn]) -> tuple[Demand, ...]:
    """Waiting jobs in the order in which they would start if all of them fitted."""
    ranks: Counter[tuple[int, str]] = Counter()
    keyed: list[tuple[tuple[int, int, datetime, datetime, str], Demand]] = []
    for demand in sorted(waiting, key=lambda demand: (demand.requested_at, demand.job_id)):
        turn = turns.get(demand.party, Turn())
        place = turn.running + ranks[demand.priority, demand.party]
        ranks[demand.priority, demand.party] += 1
        # a new party is not before those that have waited since before it came: many of them would starve the others
        last_start = turn.last_start or demand.queued_at
        keyed.append(((-demand.priority, place, last_start, demand.requested_at, demand.job_id), demand))
    return tuple(demand for _, demand in sorted(keyed, key=lambda pair: pair[0]))


def next_to_start(
    ordered: Sequence[Demand], room: Room, *, now: datetime, keep_after: timedelta
) -> tuple[Demand, tuple[str, ...]] | None:
    """The job that a worker should start now, and its slots; None if nothing fits."""
    free = [slot for slot in room.slots if slot not in room.taken]
    held_back: set[str] = set()
    for demand in ordered:
        if demand.party in held_back or not could_hold(demand, room.slots):
            continue
        slots = _pick(demand, free, room.free_bytes)
        if slots is not None:
            return demand, slots
        # what runs here will end and free its memory; what others use of it may never be free
        if room.taken and now - demand.queued_at >= keep_after:
            kept = _to_keep(demand, room)
            free = [slot for slot in free if slot not in kept]
            if demand.device_count > 1:
                held_back.add(demand.party)
    return None


def could_hold(demand: Demand, slots: Sequence[str]) -> bool:
    """Whether a worker has slots for a job at all."""
    return bool(slot_choices(demand, slots))


def slot_choices(demand: Demand, slots: Sequence[str]) -> list[tuple[str, ...]]:
    """The first slots of each kind on which a job could run, were all of them free."""
    if demand.devices:
        return [demand.devices] if set(demand.devices) <= set(slots) else []
    kinds = _by_kind(slots).values()
    return [tuple(same[: demand.device_count]) for same in kinds if len(same) >= demand.device_count]


def _pick(demand: Demand, free: Sequence[str], free_bytes: Mapping[str, int]) -> tuple[str, ...] | None:
    if demand.devices:
        there = set(demand.devices) <= set(free)
        return demand.devices if there and lacking_pool(demand, demand.devices, free_bytes) is None else None
    for same in _by_kind(free).values():
        roomy = [slot for slot in same if lacking_pool(demand, (slot,), free_bytes) is None]
        chosen = tuple(roomy[: demand.device_count])
        if len(chosen) == demand.device_count and lacking_pool(demand, chosen, free_bytes) is None:
            return chosen
    return None


def lacking_pool(demand: Demand, slots: Sequence[str], free_bytes: Mapping[str, int]) -> str | None:
    """The first pool of memory with too little for a job on these slots; None if it fits, or nobody knows."""
    wanted: Counter[str] = Counter()
    for slot in slots:
        wanted[pool_of(slot)] += demand.need_bytes.get(kind_of(slot), 0)
    return next((pool for pool, need in wanted.items() if need > free_bytes.get(pool, need)), None)


def _to_keep(demand: Demand, room: Room) -> frozenset[str]:
    if demand.devices:
        return frozenset(demand.devices)
    enough = next(same for same in _by_kind(room.slots).values() if len(same) >= demand.device_count)
    free_first = sorted(enough, key=lambda slot: slot in room.taken)
    return frozenset(free_first[: demand.device_count])


def _by_kind(slots: Sequence[str]) -> dict[str, list[str]]:
    found: defaultdict[str, list[str]] = defaultdict(list)
    for slot in slots:
        found[kind_of(slot)].append(slot)
    return found

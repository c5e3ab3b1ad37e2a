"""Whose turn it is, which slots a job takes at once, and for whom slots are kept."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from trainer_svc.domain.queue import Demand, Room, Turn, could_hold, in_turn, next_to_start, party_of

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
KEEP_AFTER = timedelta(minutes=5)
FOUR = ("cuda:0", "cuda:1", "cuda:2", "cuda:3")


def a_demand(number: int = 1, party: str = "ann", **changes: object) -> Demand:
    """A job that was asked for `number` seconds after noon."""
    asked = NOON + timedelta(seconds=number)
    standard = Demand(
        job_id=f"{party}-{number}", party=party, priority=0, models=("tiny",), devices=(), device_count=1,
        requested_at=asked, queued_at=asked,
    )  # fmt: skip
    return replace(standard, **changes)


def a_room(*taken: str, slots: tuple[str, ...] = FOUR, **free_bytes: int) -> Room:
    return Room(slots=slots, taken=frozenset(taken), free_bytes=free_bytes)


def order(*waiting: Demand, turns: dict[str, Turn] | None = None) -> list[str]:
    return [demand.job_id for demand in in_turn(waiting, turns or {})]


def start(*waiting: Demand, room: Room, waited_s: float = 0) -> tuple[str, tuple[str, ...]] | None:
    found = next_to_start(waiting, room, now=NOON + timedelta(seconds=waited_s), keep_after=KEEP_AFTER)
    return None if found is None else (found[0].job_id, found[1])


class TestInTurn:
    def test_a_higher_priority_goes_first_however_late_it_was_asked_for(self) -> None:
        assert order(a_demand(1), a_demand(9, priority=1)) == ["ann-9", "ann-1"]

    def test_within_a_party_the_order_of_asking_holds(self) -> None:
        assert order(a_demand(3), a_demand(1), a_demand(2)) == ["ann-1", "ann-2", "ann-3"]

    def test_a_hundred_jobs_of_one_do_not_keep_another_from_the_second_place(self) -> None:
        hundred = [a_demand(number) for number in range(100)]
        assert order(*hundred, a_demand(500, "bob")).index("bob-500") == 1

    def test_parties_alternate(self) -> None:
        waiting = [a_demand(number, party) for party in ("ann", "bob") for number in (1, 2)]
        assert order(*waiting) == ["ann-1", "bob-1", "ann-2", "bob-2"]

    def test_who_has_fewest_jobs_running_goes_first(self) -> None:
        turns = {"ann": Turn(running=1, last_start=NOON)}
        assert order(a_demand(1), a_demand(2, "bob"), turns=turns) == ["bob-2", "ann-1"]

    def test_then_who_has_waited_longest_since_a_start(self) -> None:
        turns = {"ann": Turn(last_start=NOON), "bob": Turn(last_start=NOON - timedelta(hours=1))}
        assert order(a_demand(1), a_demand(2, "bob"), turns=turns) == ["bob-2", "ann-1"]

    def test_one_who_asks_for_the_first_time_comes_after_those_who_were_served_before_he_asked(self) -> None:
        turns = {"ann": Turn(last_start=NOON)}
        assert order(a_demand(9), a_demand(3, "new"), turns=turns) == ["ann-9", "new-3"]
        turns = {"ann": Turn(last_start=NOON + timedelta(seconds=5))}
        assert order(a_demand(9), a_demand(3, "new"), turns=turns) == ["new-3", "ann-9"]

    def test_jobs_by_policy_take_turns_by_task_and_those_of_people_by_person(self) -> None:
        by_policy = party_of(requested_by="policy", task_id="mood")
        assert by_policy != party_of(requested_by="policy", task_id="math")
        assert party_of(requested_by="ann", task_id="mood") == party_of(requested_by="ann", task_id="math")


class TestSlots:
    def test_one_job_gets_the_first_free_slot(self) -> None:
        assert start(a_demand(), room=a_room("cuda:0")) == ("ann-1", ("cuda:1",))

    def test_several_slots_are_taken_at_once_or_none(self) -> None:
        gang = a_demand(device_count=3)
        assert start(gang, room=a_room("cuda:1")) == ("ann-1", ("cuda:0", "cuda:2", "cuda:3"))
        assert start(gang, room=a_room("cuda:1", "cuda:2")) is None

    def test_a_gang_does_not_mix_kinds_of_devices(self) -> None:
        room = a_room(slots=("cpu:0", "cuda:0", "cuda:1"))
        assert start(a_demand(device_count=2), room=room) == ("ann-1", ("cuda:0", "cuda:1"))
        assert start(a_demand(device_count=3), room=room) is None

    def test_named_slots_are_those_that_it_gets(self) -> None:
        wanted = a_demand(devices=("cuda:3", "cuda:1"), device_count=2)
        assert start(wanted, room=a_room()) == ("ann-1", ("cuda:3", "cuda:1"))
        assert start(wanted, room=a_room("cuda:1")) is None

    def test_what_does_not_fit_is_passed_over(self) -> None:
        assert start(a_demand(1, device_count=4), a_demand(2, "bob"), room=a_room("cuda:0")) == ("bob-2", ("cuda:1",))

    @pytest.mark.parametrize(
        ("changes", "can"),
        [({}, True), ({"device_count": 5}, False), ({"devices": ("cuda:9",)}, False), ({"devices": FOUR}, True)],
    )
    def test_could_hold_says_whether_there_are_such_slots_at_all(
        self, changes: dict[str, object], *, can: bool
    ) -> None:
        assert could_hold(a_demand(**changes), FOUR) is can


class TestMemory:
    def test_a_slot_with_too_little_is_passed_over(self) -> None:
        room = Room(slots=FOUR[:2], taken=frozenset(), free_bytes={"cuda:0": 5, "cuda:1": 10})
        assert start(a_demand(need_bytes={"cuda": 8}), room=room) == ("ann-1", ("cuda:1",))

    def test_cpu_slots_share_one_memory(self) -> None:
        room = Room(slots=("cpu:0", "cpu:1"), taken=frozenset(), free_bytes={"cpu": 10})
        assert start(a_demand(need_bytes={"cpu": 6}), room=room) == ("ann-1", ("cpu:0",))
        assert start(a_demand(need_bytes={"cpu": 6}, device_count=2), room=room) is None

    def test_what_nobody_knows_holds_nothing_up(self) -> None:
        assert start(a_demand(need_bytes={"cuda": 8}), room=a_room()) is not None
        assert start(a_demand(), room=Room(slots=FOUR, taken=frozenset(), free_bytes={"cuda:0": 0})) is not None

    def test_it_keeps_no_slot_while_nothing_runs_here_that_could_free_it(self) -> None:
        room = Room(slots=("cpu:0",), taken=frozenset(), free_bytes={"cpu": 5})
        large, small = a_demand(1, need_bytes={"cpu": 6}), a_demand(2, "bob", need_bytes={"cpu": 1})
        assert start(large, small, room=room, waited_s=1e6) == ("bob-2", ("cpu:0",))


class TestKeepingSlots:
    def test_a_big_job_that_was_passed_over_for_too_long_gets_what_falls_free(self) -> None:
        big, small = a_demand(1, device_count=4), a_demand(2, "bob")
        room = a_room("cuda:0", "cuda:1")
        assert start(big, small, room=room, waited_s=100) == ("bob-2", ("cuda:2",))
        assert start(big, small, room=room, waited_s=302) is None

    def test_slots_that_it_does_not_need_are_left_to_others(self) -> None:
        big, small = a_demand(1, device_count=2), a_demand(2, "bob")
        room = a_room("cuda:0", "cuda:1", "cuda:2")
        assert start(big, small, room=room, waited_s=302) is None  # it keeps the free one
        named = a_demand(1, devices=("cuda:0", "cuda:1"), device_count=2)
        assert start(named, small, room=room, waited_s=302) == ("bob-2", ("cuda:3",))

    def test_later_jobs_of_its_own_party_do_not_overtake_it_either(self) -> None:
        big, own = a_demand(1, devices=("cuda:0", "cuda:1"), device_count=2), a_demand(2)
        room = a_room("cuda:0", "cuda:1", "cuda:2")
        assert start(big, own, room=room, waited_s=302) is None

    def test_who_waits_for_one_busy_slot_holds_up_no_other_job_of_his(self) -> None:
        picky, own = a_demand(1, devices=("cuda:0",)), a_demand(2)
        assert start(picky, own, room=a_room("cuda:0"), waited_s=302) == ("ann-2", ("cuda:1",))

    def test_a_worker_that_could_never_hold_it_keeps_nothing(self) -> None:
        big, small = a_demand(1, device_count=5), a_demand(2, "bob")
        assert start(big, small, room=a_room("cuda:0"), waited_s=1e6) == ("bob-2", ("cuda:1",))

    def test_it_starts_in_the_end_however_many_small_jobs_come(self) -> None:
        """Two others ask for a job of one slot every minute; each job takes twenty minutes and more."""
        assert minutes_until_big_starts(small_every_minute=2) <= 5 + 2 * 20

    def test_without_keeping_slots_it_would_not_start(self) -> None:
        assert minutes_until_big_starts(small_every_minute=2, keep_after=timedelta(days=9)) == 150


def minutes_until_big_starts(*, small_every_minute: int, keep_after: timedelta = KEEP_AFTER) -> int:
    """Simulates four slots with one job that wants all, for two and a half hours."""
    waiting = [a_demand(0, device_count=4)]
    ends = {"cuda:0": 30}
    turns: dict[str, Turn] = {}
    for minute in range(150):
        now = NOON + timedelta(minutes=minute)
        waiting += [a_demand(minute * 60, f"small-{who}") for who in range(small_every_minute)]
        ends = {slot: end for slot, end in ends.items() if end > minute}
        while True:
            room = Room(slots=FOUR, taken=frozenset(ends))
            found = next_to_start(in_turn(waiting, turns), room, now=now, keep_after=keep_after)
            if found is None:
                break
            demand, slots = found
            if demand.device_count == 4:
                return minute
            waiting.remove(demand)
            # they end one after the other: never all at once
            ends |= dict.fromkeys(slots, minute + 20 + len(ends))
            turns[demand.party] = Turn(last_start=now)
    return 150

"""Every consumer: handled once, again without effect, unreadable to the dead letters, and a database that goes away."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from feedback_world import (
    BASE,
    CANDIDATE,
    TASK,
    World,
    a_deployment,
    a_rating,
    a_task,
    an_erasure,
    an_evaluation,
    an_inference,
)
from pydantic import JsonValue

from loopwright.broker import ConsumerStopped
from loopwright.contracts.base import Event
from loopwright.contracts.envelope import seal
from loopwright.contracts.registry import FEEDBACK_RECEIVED, JOB_FINISHED, LOG_RECEIVED, topic_of
from loopwright.testing.examples import an_event
from loopwright.testing.gate import Gate
from loopwright.testing.records import a_raw_record, a_record


@dataclass(frozen=True)
class Case:
    """An event, what must be known before it, and the rows that it leaves."""

    event: Callable[[], Event]
    before: tuple[Callable[[], Event], ...]
    table: str
    rows: int = 1


CASES = {
    "task": Case(a_task, (), "tasks"),
    "deployment": Case(lambda: a_deployment(1, BASE, CANDIDATE, minute=0), (), "deployments"),
    "inference": Case(an_inference, (a_task, a_rating), "inferences"),
    "rating": Case(a_rating, (a_task, an_inference), "samples"),
    "evaluation": Case(an_evaluation, (a_task,), "experiments"),
    "log": Case(lambda: an_event(LOG_RECEIVED), (), "upstream_records"),
    "job": Case(
        lambda: an_event(JOB_FINISHED, state="failed", task_id=TASK),
        (lambda: a_task(retraining={"min_new_samples": 1}), an_inference, a_rating),
        "dataset_requests",
    ),
    "erasure": Case(an_erasure, (a_task, an_inference, a_rating), "erasures"),
    "feedback": Case(lambda: an_event(FEEDBACK_RECEIVED), (), "upstream_records"),
}
every_consumer = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


async def state(world: World) -> list[str]:
    """All rows of the service but the inbox, and what it said."""
    tables = ("tasks", "deployments", "inferences", "ratings", "samples", "experiments", "experiment_users",
              "evaluations", "dataset_requests", "upstream_records", "erasures", "export_deletions", "outbox")  # fmt: skip
    return sorted([f"{name} {dict(row)}" for name in tables for row in await world.table(name)])


@every_consumer
async def test_handles_an_event(world: World, case: Case) -> None:
    await world.hand(*(event() for event in case.before), case.event())
    assert len(await world.table(case.table)) == case.rows
    assert await world.dead_letters(topic_of(case.event())) == []


@every_consumer
async def test_does_nothing_when_an_event_comes_again(world: World, case: Case) -> None:
    await world.hand(*(event() for event in case.before))
    event = case.event()
    topic = topic_of(event)
    envelope = seal(topic, source=topic.producers[0], cause=None, traceparent=None)
    await world.hand(event, envelope=envelope)
    before = await state(world)

    await world.hand(event, envelope=envelope)

    assert await state(world) == before


@every_consumer
async def test_sets_an_unreadable_event_aside_with_its_reason_and_goes_on(world: World, case: Case) -> None:
    event = case.event()
    topic = topic_of(event)
    headers = [(name, value.encode()) for name, value in seal(
        topic, source=topic.producers[0], cause=None, traceparent=None
    ).to_headers()]  # fmt: skip
    broken = json.dumps({**json.loads(event.model_dump_json()), topic.key: {"not": "text"}}).encode()

    await world.consume(a_raw_record(topic, broken, headers=headers, offset=900))
    await world.consume(a_raw_record(topic, b"{", headers=headers, offset=901))
    await world.hand(*(event() for event in case.before), event)

    assert await world.dead_letters(topic) == ["event.invalid-payload", "event.invalid-payload"]
    assert len(await world.table(case.table)) == case.rows


@every_consumer
async def test_waits_for_a_database_that_is_away_and_then_acts_once(
    world: World, gate: tuple[Gate, str], case: Case
) -> None:
    await world.hand(*(event() for event in case.before))
    door, _ = gate
    await door.shut()
    handling = asyncio.create_task(world.hand(case.event(), attempts=10))
    await asyncio.sleep(0.2)  # a few tries in vain
    assert not handling.done()

    await door.open()
    await handling

    assert len(await world.table(case.table)) == case.rows


@every_consumer
async def test_stops_without_a_dead_letter_when_the_database_stays_away(
    world: World, gate: tuple[Gate, str], case: Case
) -> None:
    before = await state(world)
    await gate[0].shut()
    with pytest.raises(ConsumerStopped):
        await world.hand(case.event())
    assert await state(world) == before
    await gate[0].open()


class TestTasks:
    async def test_the_highest_version_wins_in_any_order(self, world: World) -> None:
        await world.hand(a_task(2, base_model="two"), a_task(3, base_model="three"), a_task(1, base_model="one"))
        (row,) = await world.table("tasks")
        assert (row["version"], row["policies"]["base_model"]) == (3, "three")


class TestDeployments:
    async def test_the_highest_revision_wins_in_any_order(self, world: World) -> None:
        await world.hand(a_deployment(2, CANDIDATE, minute=2), a_deployment(1, BASE, CANDIDATE, minute=1))
        (row,) = await world.table("deployments")
        assert (row["champion_variant_id"], row["candidate_variant_ids"]) == (CANDIDATE, [])


class TestUpstreamRecords:
    async def test_keeps_a_log_batch_once_however_it_is_sent_again(self, world: World) -> None:
        batch = an_event(LOG_RECEIVED)
        await world.hand(batch, batch, an_event(LOG_RECEIVED, timestamp="2026-11-21T19:00:00+09:00"))
        rows = await world.table("upstream_records")
        assert sorted((row["records"], row["deliveries"]) for row in rows) == [(2, 1), (2, 2)]

    async def test_refuses_a_batch_of_which_part_was_lost(self, world: World) -> None:
        await world.hand(an_event(LOG_RECEIVED, count=3))
        assert await world.table("upstream_records") == []
        assert await world.dead_letters(LOG_RECEIVED) == ["log.count-mismatch"]

    async def test_takes_a_batch_without_our_envelope_as_upstream_apps_send_it(self, world: World) -> None:
        plain = an_event(LOG_RECEIVED).model_dump_json().encode()
        await world.consume(a_raw_record(LOG_RECEIVED, plain))
        assert len(await world.table("upstream_records")) == 1

    async def test_of_one_record_the_version_published_last_is_kept(self, world: World) -> None:
        def record(text: str, hour: int) -> Event:
            return an_event(FEEDBACK_RECEIVED, record={"text": text}, received_at=f"2026-11-21T{hour:02}:00:00Z")

        await world.hand(record("second", 10), record("third", 11), record("first", 9))
        (row,) = await world.table("upstream_records")
        assert (row["content"], row["deliveries"]) == ({"text": "third"}, 3)

    async def test_of_records_with_numbers_that_json_has_not_only_those_go_to_the_dead_letters(
        self, world: World
    ) -> None:
        for offset, number in enumerate((b"123456789012345678901234567890", b"NaN")):
            value = b'{"record_id": "r%d", "kind": "k", "record": {"n": %b}, "received_at": "2026-11-21T09:00:00Z"}'
            await world.consume(a_raw_record(FEEDBACK_RECEIVED, value % (offset, number), offset=offset))
        [row] = await world.table("upstream_records")
        assert row["content"] == {"n": 123456789012345678901234567890}
        assert await world.dead_letters(FEEDBACK_RECEIVED) == ["record.not-json"]

    async def test_what_comes_together_is_kept_as_if_it_came_alone(self, world: World) -> None:
        def record(name: str, text: str, *, hour: int, unit: str) -> Event:
            said: JsonValue = {"unit_hash": unit, "text": text}
            return an_event(FEEDBACK_RECEIVED, record_id=name, record=said, received_at=f"2026-11-21T{hour:02}:00:00Z")

        await world.hand(an_erasure("gone"))
        batch = [
            record("b", "second", hour=10, unit="here"),
            record("a", "never", hour=9, unit="gone"),
            record("b", "first", hour=9, unit="here"),
        ]
        await world.consume_together([a_record(event, offset=offset) for offset, event in enumerate(batch)])
        rows = {row["record_id"]: row for row in await world.table("upstream_records")}
        assert {name: (row["content"] or {}).get("text") for name, row in rows.items()} == {"a": None, "b": "second"}
        assert (rows["a"]["subjects"], rows["b"]["subjects"], rows["b"]["deliveries"]) == ([], ["here"], 2)

    async def test_a_batch_of_which_part_was_lost_holds_up_none_beside_it(self, world: World) -> None:
        batch = [an_event(LOG_RECEIVED, type=name, count=count) for name, count in (("x", 2), ("y", 3), ("z", 2))]
        await world.consume_together([a_record(event, offset=offset) for offset, event in enumerate(batch)])
        assert {row["kind"] for row in await world.table("upstream_records")} == {"x", "z"}
        assert await world.dead_letters(LOG_RECEIVED) == ["log.count-mismatch"]


async def test_a_rating_of_an_unknown_task_is_tried_again_and_then_set_aside(world: World) -> None:
    rating = a_rating()
    await world.hand(rating)
    assert await world.dead_letters(topic_of(rating)) == ["task.not-known-yet"]
    assert await world.table("ratings") == []

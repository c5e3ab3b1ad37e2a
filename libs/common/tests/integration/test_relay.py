"""The relay moves what was committed to Kafka: in order, at least once, one at a time."""

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

import asyncpg
import pytest
import sqlalchemy as sa

from loopwright.broker import KafkaRecord, dead_letter
from loopwright.contracts.base import Event
from loopwright.contracts.registry import ALERT_RAISED, USER_ERASED, Topic
from loopwright.errors import InvalidPayload
from loopwright.outbox import OutboxRecord
from loopwright.relay import Relay
from loopwright.testing.examples import an_event
from loopwright.testing.gate import Gate
from loopwright.testing.probe import Probe
from loopwright.testing.records import a_raw_record
from loopwright.testing.waiting import eventually

FreshTopic = Callable[[Topic[Event]], Awaitable[Topic[Event]]]
ReadTopic = Callable[[str], Awaitable[list[KafkaRecord]]]


@asynccontextmanager
async def running(relay: Relay) -> AsyncGenerator[None]:
    task = asyncio.create_task(relay.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def announce(probe: Probe, *numbers: int, key: str = "u-1") -> None:
    async with probe.work() as unit:
        for number in numbers:
            unit.announce(an_event(USER_ERASED, erasure_id=f"era-{number}", unit_hash=key))


async def emptied(probe: Probe) -> bool:
    return not await probe.outbox()


def number_of(record: KafkaRecord) -> int:
    return int(json.loads(record.value)["erasure_id"].removeprefix("era-"))


def id_of(record: KafkaRecord) -> str:
    return dict(record.headers)["ce_id"].decode()


async def test_what_was_committed_arrives_as_it_was_announced(
    probe: Probe, kafka_bootstrap: str, fresh_topic: FreshTopic, read_topic: ReadTopic
) -> None:
    topic = await fresh_topic(USER_ERASED)
    await announce(probe, 1)
    [row] = await probe.outbox()

    async with running(Relay(probe.database, kafka_bootstrap)):
        await eventually(lambda: emptied(probe))

    [record] = await read_topic(topic.name)
    assert (record.key, record.value) == (row["key"], row["value"])
    assert [[name, value.decode()] for name, value in record.headers] == row["headers"]


async def test_what_was_rolled_back_never_arrives(
    probe: Probe, kafka_bootstrap: str, fresh_topic: FreshTopic, read_topic: ReadTopic
) -> None:
    topic = await fresh_topic(USER_ERASED)

    async def fail() -> None:
        async with probe.work() as unit:
            unit.announce(an_event(USER_ERASED, erasure_id="era-1"))
            raise ZeroDivisionError

    async with running(Relay(probe.database, kafka_bootstrap)):
        with pytest.raises(ZeroDivisionError):
            await fail()
        await announce(probe, 2)
        await eventually(lambda: emptied(probe))
    assert [number_of(record) for record in await read_topic(topic.name)] == [2]


async def test_order_is_kept_per_key_over_many_batches(
    probe: Probe, kafka_bootstrap: str, fresh_topic: FreshTopic, read_topic: ReadTopic
) -> None:
    topic = await fresh_topic(USER_ERASED)
    keys = [f"u-{number}" for number in range(7)]
    async with running(Relay(probe.database, kafka_bootstrap)):
        for first in range(0, 1400, 200):
            for key in keys:
                await announce(probe, *range(first, first + 200), key=key)
        await eventually(lambda: emptied(probe))

    by_key: dict[bytes, list[int]] = defaultdict(list)
    partitions: dict[bytes, set[int]] = defaultdict(set)
    for record in await read_topic(topic.name):
        by_key[record.key].append(number_of(record))
        partitions[record.key].add(record.partition)
    assert set(by_key) == {key.encode() for key in keys}
    for key, numbers in by_key.items():
        assert numbers == list(range(1400)), key
        assert len(partitions[key]) == 1
    assert len(set.union(*partitions.values())) > 1


async def test_a_record_without_key_and_value_arrives_too(
    probe: Probe, kafka_bootstrap: str, fresh_topic: FreshTopic, read_topic: ReadTopic
) -> None:
    topic = await fresh_topic(USER_ERASED)
    async with probe.work() as unit:
        unit.announce_record(OutboxRecord(topic=topic.dead_letter_name, key=None, value=None, headers=(("a", "é"),)))
    async with running(Relay(probe.database, kafka_bootstrap)):
        await eventually(lambda: emptied(probe))
    [record] = await read_topic(topic.dead_letter_name)
    assert (record.key, record.value or b"", record.headers) == (None, b"", (("a", "é".encode()),))


async def test_the_dead_letter_of_the_largest_record_fits(
    probe: Probe, kafka_bootstrap: str, fresh_topic: FreshTopic, read_topic: ReadTopic
) -> None:
    topic = await fresh_topic(USER_ERASED)
    largest = a_raw_record(topic, b"x" * 1_048_000)
    letter = dead_letter(topic, largest, group="a.group", code="a.code", reason="why " * 1000)
    async with probe.work() as unit:
        unit.announce_record(letter)
    async with running(Relay(probe.database, kafka_bootstrap)):
        await eventually(lambda: emptied(probe))
    assert [record.value for record in await read_topic(topic.dead_letter_name)] == [largest.value]


async def test_an_event_that_would_not_fit_is_refused_before_it_blocks_the_outbox(probe: Probe) -> None:
    with pytest.raises(InvalidPayload) as refused:
        async with probe.work() as unit:
            unit.announce(an_event(ALERT_RAISED, detail="x" * 1_000_000))
    assert refused.value.code == "event.too-large"


async def test_a_crash_between_acknowledgement_and_delete_publishes_again_under_the_same_id(
    probe: Probe,
    kafka_bootstrap: str,
    fresh_topic: FreshTopic,
    read_topic: ReadTopic,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    topic = await fresh_topic(USER_ERASED)
    relay = Relay(probe.database, kafka_bootstrap)
    send, crashes = relay._send, iter([True])

    async def send_and_crash_once(*arguments: object) -> None:
        await send(*arguments)
        if next(crashes, False):
            raise asyncpg.InterfaceError("the process died here")

    monkeypatch.setattr(relay, "_send", send_and_crash_once)
    await announce(probe, 1, 2)
    async with running(relay):
        await eventually(lambda: emptied(probe))

    records = await read_topic(topic.name)
    assert [number_of(record) for record in records] == [1, 2, 1, 2]
    assert [id_of(record) for record in records[:2]] == [id_of(record) for record in records[2:]]


async def test_a_relay_that_is_killed_leaves_its_records_to_the_next(
    probe: Probe, kafka_bootstrap: str, fresh_topic: FreshTopic, read_topic: ReadTopic
) -> None:
    topic = await fresh_topic(USER_ERASED)
    async with running(Relay(probe.database, kafka_bootstrap)):
        await announce(probe, 1)
        await eventually(lambda: emptied(probe))
    await announce(probe, 2)
    async with running(Relay(probe.database, kafka_bootstrap)):
        await eventually(lambda: emptied(probe))
    assert [number_of(record) for record in await read_topic(topic.name)] == [1, 2]


async def lock_holders(probe: Probe) -> list[int]:
    async with probe.work() as unit:
        query = """SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted
                   AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"""
        return list(await unit.session.scalars(sa.text(query)))


async def test_of_two_relays_one_works_and_the_other_takes_over(
    probe: Probe, kafka_bootstrap: str, fresh_topic: FreshTopic, read_topic: ReadTopic
) -> None:
    topic = await fresh_topic(USER_ERASED)
    async with running(Relay(probe.database, kafka_bootstrap)), running(Relay(probe.database, kafka_bootstrap)):
        await eventually(lambda: lock_holders(probe))
        for number in range(50):
            await announce(probe, number)
        await eventually(lambda: emptied(probe))
        assert len(await lock_holders(probe)) == 1
        async with probe.work() as unit:  # the active one loses its session, as if its process had died
            kill = sa.text("SELECT pg_terminate_backend(:pid)")
            await unit.session.execute(kill, {"pid": (await lock_holders(probe))[0]})
        await announce(probe, 50)
        await eventually(lambda: emptied(probe))
        assert len(await lock_holders(probe)) == 1
    assert [number_of(record) for record in await read_topic(topic.name)] == list(range(51))


async def test_an_absent_database_is_waited_out(
    probe: Probe, gate: Gate, kafka_bootstrap: str, fresh_topic: FreshTopic, read_topic: ReadTopic
) -> None:
    topic = await fresh_topic(USER_ERASED)
    async with running(Relay(probe.database, kafka_bootstrap)):
        await announce(probe, 1)
        await eventually(lambda: emptied(probe))
        await gate.shut()
        await asyncio.sleep(0.3)  # long enough for the relay to meet the shut door
        await gate.open()
        await announce(probe, 2)
        await eventually(lambda: emptied(probe))
    assert [number_of(record) for record in await read_topic(topic.name)] == [1, 2]

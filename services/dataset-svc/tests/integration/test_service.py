"""The whole service over real Kafka, PostgreSQL and HTTP: from dataset.requested to dataset.validated."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from loopwright.broker import KafkaRecord
from loopwright.contracts.base import Artifact, Event
from loopwright.contracts.envelope import open_record
from loopwright.contracts.registry import (
    DATASET_DEPRECATED,
    DATASET_REJECTED,
    DATASET_REQUESTED,
    DATASET_VALIDATED,
    USER_ERASED,
    Topic,
)
from loopwright.errors import StoreUnavailable
from loopwright.testing.examples import an_event
from loopwright.testing.records import a_raw_record, a_record
from loopwright.testing.waiting import eventually
from loopwright.topics import create_missing_topics

pytestmark = pytest.mark.integration


async def write(bootstrap: str, *records: KafkaRecord) -> None:
    async with AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
        for record in records:
            await producer.send_and_wait(record.topic, value=record.value, key=record.key, headers=list(record.headers))


async def read_all(bootstrap: str, topic_name: str) -> list[KafkaRecord]:
    """Everything on a topic as it stands now."""
    found: list[KafkaRecord] = []
    async with AIOKafkaConsumer(topic_name, bootstrap_servers=bootstrap, auto_offset_reset="earliest") as reader:
        for partition, end in (await reader.end_offsets(reader.assignment())).items():
            while await reader.position(partition) < end:
                for records in (await reader.getmany(timeout_ms=200)).values():
                    found += records
    return found


@asynccontextmanager
async def running(service) -> AsyncGenerator[None]:
    async with service.app.router.lifespan_context(service.app):
        await eventually(lambda: is_ready(service), timeout_s=60)
        yield


async def is_ready(service) -> bool:
    return (await asyncio.gather(*(probe() for probe in service._probes.values()), return_exceptions=True)) == [None] * len(service._probes)  # fmt: skip


async def events_of(bootstrap: str, topic: Topic, *request_ids: str) -> dict[str, object]:
    """Waits for one event of a topic per request; says so if there are more."""

    async def look():
        opened = [open_record(topic, record.value, record.headers, position="") for record in await read_all(bootstrap, topic.name)]  # fmt: skip
        wanted = [one for one in opened if one.event.request_id in request_ids]
        return wanted if len(wanted) >= len(request_ids) else None

    found = await eventually(look, timeout_s=60)
    assert sorted(one.event.request_id for one in found) == sorted(request_ids)
    return {one.event.request_id: one for one in found}


async def deprecations(bootstrap: str, source: str) -> list[Event]:
    records = await read_all(bootstrap, DATASET_DEPRECATED.name)
    opened = [open_record(DATASET_DEPRECATED, record.value, record.headers, position="") for record in records]
    return [one.event for one in opened if one.envelope.source == source]


async def is_gone(world, artifact: Artifact) -> bool:
    try:
        await world.storage.read_bytes(artifact)
    except StoreUnavailable as error:
        return error.code == "storage.object-missing"
    return False


async def test_from_request_to_announcement_on_real_kafka(world, make_service, kafka_bootstrap):
    await create_missing_topics(kafka_bootstrap, replication=1)
    good, again, small = await world.request(), await world.request(world.lines(80)), await world.request(world.lines(3), data_policy={"min_samples": 50})  # fmt: skip
    record = a_record(good)
    broken = f'{{"request_id": "{good.request_id}"'.encode()
    poison = a_raw_record(DATASET_REQUESTED, broken, headers=list(record.headers), key=b"log-anomaly")
    async with running(make_service(kafka_bootstrap)):
        await write(kafka_bootstrap, record, record, poison, a_record(small))
        validated = await events_of(kafka_bootstrap, DATASET_VALIDATED, good.request_id)
        await events_of(kafka_bootstrap, DATASET_REJECTED, small.request_id)
        cause = validated[good.request_id].envelope
        assert cause.source == "/loopwright/dataset-svc"

        await write(kafka_bootstrap, a_record(an_event(USER_ERASED, unit_hash="u3")))
        await eventually(lambda: world.rows("erased_units"))
        deprecated = await eventually(lambda: deprecations(kafka_bootstrap, cause.source), timeout_s=60)
        first = validated[good.request_id].event
        assert [(one.version_id, one.reason, one.unit_hash) for one in deprecated] == [
            (first.version_id, "erasure", "u3")
        ]
        await eventually(lambda: is_gone(world, first.train.artifact), timeout_s=60)
        await write(kafka_bootstrap, a_record(again))
        second = (await events_of(kafka_bootstrap, DATASET_VALIDATED, again.request_id))[again.request_id].event
        assert (second.version, second.parent_version_id) == (2, validated[good.request_id].event.version_id)
        held_out = await world.storage.read_bytes(second.held_out.artifact)
        assert "u3" not in {json.loads(line)["unit_hash"] for line in held_out.splitlines()}

        [letter] = [one for one in await read_all(kafka_bootstrap, DATASET_REQUESTED.dead_letter_name) if one.value == broken]  # fmt: skip
        assert dict(letter.headers)["dlq_code"] == b"event.invalid-payload"
    assert [row.status for row in await world.rows("versions", order_by="number")] == ["deprecated", "active"]


async def test_what_was_asked_while_the_service_was_down_is_built_when_it_is_up(world, make_service, kafka_bootstrap):
    await create_missing_topics(kafka_bootstrap, replication=1)
    event = await world.request(dataset_name="later")
    await write(kafka_bootstrap, a_record(event))
    async with running(make_service(kafka_bootstrap)):
        await events_of(kafka_bootstrap, DATASET_VALIDATED, event.request_id)
    [row] = [row for row in await world.rows("requests") if row.request_id == event.request_id]
    assert (row.state, row.attempts) == ("validated", 1)

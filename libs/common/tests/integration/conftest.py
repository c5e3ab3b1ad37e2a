"""A service of one table on real PostgreSQL and Kafka; every test has its own database and its own topics."""

import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from pydantic import SecretStr

from loopwright.broker import KafkaRecord
from loopwright.contracts import registry
from loopwright.contracts.base import Event
from loopwright.contracts.kafka_settings import dead_letter_settings
from loopwright.contracts.registry import Topic
from loopwright.settings import CommonSettings
from loopwright.testing.gate import Gate
from loopwright.testing.probe import Probe


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.integration)


@pytest_asyncio.fixture
async def gate(database_url: str) -> AsyncGenerator[Gate]:
    """The door through which the probe reaches PostgreSQL."""
    parts = urlsplit(database_url)
    async with Gate(parts.hostname, parts.port) as gate:
        yield gate


@pytest_asyncio.fixture
async def probe(database_url: str, gate: Gate) -> AsyncGenerator[Probe]:
    port = urlsplit(database_url).port
    probe = Probe(database_url.replace(f":{port}/", f":{gate.port}/"), direct_url=database_url)
    await probe.create_tables()
    yield probe
    await probe.database.close()


@pytest.fixture
def common(probe: Probe, kafka_bootstrap: str) -> CommonSettings:
    """Settings of a service that gives up quickly."""
    return CommonSettings(
        database_url=SecretStr(probe.database.url),
        kafka_bootstrap=kafka_bootstrap,
        retry_attempts=3,
        retry_first_delay_s=0.01,
        dead_letter_limit=5,
    )


@pytest_asyncio.fixture
async def admin(kafka_bootstrap: str) -> AsyncGenerator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka_bootstrap)
    await admin.start()
    yield admin
    await admin.close()


@pytest_asyncio.fixture
async def fresh_topic(admin: AIOKafkaAdminClient) -> AsyncGenerator[Callable[[Topic[Event]], Awaitable[Topic[Event]]]]:
    """Function that declares and creates a copy of a registry topic under a new name, for the time of the test."""
    made: list[str] = []
    with pytest.MonkeyPatch.context() as patch:

        async def make(original: Topic[Event]) -> Topic[Event]:
            topic = replace(original, name=f"test{uuid.uuid4().hex[:10]}.{original.name}")
            new = [
                NewTopic(topic.name, topic.partitions, 1),
                NewTopic(topic.dead_letter_name, 1, 1, topic_configs=dead_letter_settings()),
            ]
            await admin.create_topics(new)
            made.extend(entry.name for entry in new)
            patch.setitem(registry._BY_EVENT, topic.event, topic)
            patch.setitem(registry._BY_NAME, topic.name, topic)
            return topic

        yield make
    if made:
        await admin.delete_topics(made)


@pytest_asyncio.fixture
async def producer(kafka_bootstrap: str) -> AsyncGenerator[AIOKafkaProducer]:
    producer = AIOKafkaProducer(bootstrap_servers=kafka_bootstrap, acks="all")
    await producer.start()
    yield producer
    await producer.stop()


@pytest.fixture
def read_topic(kafka_bootstrap: str) -> Callable[[str], Awaitable[list[KafkaRecord]]]:
    """Function that reads a topic from its start up to now."""

    async def read(name: str) -> list[KafkaRecord]:
        consumer = AIOKafkaConsumer(
            name, bootstrap_servers=kafka_bootstrap, enable_auto_commit=False, auto_offset_reset="earliest"
        )
        await consumer.start()
        try:
            partitions = [TopicPartition(name, number) for number in consumer.partitions_for_topic(name)]
            ends = await consumer.end_offsets(partitions)
            records: list[KafkaRecord] = []
            while any([await consumer.position(partition) < end for partition, end in ends.items()]):
                batches = await consumer.getmany(timeout_ms=200)
                records += [record for batch in batches.values() for record in batch]
            return records
        finally:
            await consumer.stop()

    return read

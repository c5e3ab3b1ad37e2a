"""Kafka and PostgreSQL killed under a running service: nothing is lost, nothing has its effect twice."""

import json
from collections.abc import AsyncGenerator

import pytest
import pytest_asyncio
from aiokafka import AIOKafkaConsumer
from pydantic import SecretStr

from loopwright.broker import EventRouter
from loopwright.contracts.base import Event
from loopwright.contracts.envelope import Received
from loopwright.contracts.registry import USER_ERASED, Party
from loopwright.service import Service
from loopwright.settings import CommonSettings
from loopwright.testing.examples import an_event
from loopwright.testing.probe import Probe
from loopwright.testing.waiting import eventually
from loopwright.topics import create_missing_topics
from loopwright.unit_of_work import Work
from loopwright_local.stack import LocalStack
from loopwright_local.testing import settings_for_tests

LONG_S = 90  # a killed broker is let in again only after its old session has expired


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[LocalStack]:
    """Servers of this module's own, to be killed."""
    settings = settings_for_tests(tmp_path_factory.mktemp("outages"), "kafka", "postgres")
    # the quick settings of other tests let PostgreSQL forget commits when it is killed
    durable = settings.model_copy(update={"postgres_fsync": True})
    async with LocalStack(durable, quiet=True) as stack:
        await create_missing_topics(stack.urls.kafka_bootstrap, replication=1)
        yield stack


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def probe(stack: LocalStack) -> AsyncGenerator[Probe]:
    probe = Probe(stack.urls.database, direct_url=stack.urls.database)
    await probe.create_tables()
    yield probe
    await probe.database.close()


@pytest.fixture
def common(stack: LocalStack) -> CommonSettings:
    return CommonSettings(
        database_url=SecretStr(stack.urls.database), kafka_bootstrap=stack.urls.kafka_bootstrap, retry_attempts=8
    )


def a_service(common: CommonSettings, probe: Probe) -> Service:
    """A service that reacts to its own announcements: the whole way through outbox, relay, Kafka and consumer."""
    own = Probe(probe.database.url, direct_url=probe.database.url)
    service = Service(Party.DATASET, common, database=own.database)
    events = EventRouter()

    @events.on(USER_ERASED)
    async def handle(received: Received[Event], work: Work) -> None:
        await probe.act(work.session, received.event.erasure_id)

    service.add_events(events)
    return service


async def announce(probe: Probe, *names: str) -> None:
    for name in names:
        async with probe.work() as unit:
            unit.announce(an_event(USER_ERASED, erasure_id=name))


def named(prefix: str) -> list[str]:
    return [f"{prefix}-{number}" for number in range(20)]


async def ids_by_fact(stack: LocalStack, prefix: str) -> dict[str, set[bytes]]:
    """Event ids under which each fact lies on Kafka; a fact that the relay sent twice must have one."""
    consumer = AIOKafkaConsumer(
        USER_ERASED.name, bootstrap_servers=stack.urls.kafka_bootstrap, auto_offset_reset="earliest"
    )
    await consumer.start()
    ids: dict[str, set[bytes]] = {}
    while batches := await consumer.getmany(timeout_ms=2000):
        for record in (record for batch in batches.values() for record in batch):
            fact = json.loads(record.value)["erasure_id"]
            ids.setdefault(fact, set()).add(dict(record.headers)["ce_id"])
    await consumer.stop()
    return {fact: found for fact, found in ids.items() if fact.startswith(prefix)}


async def effects_of(probe: Probe, prefix: str) -> list[str]:
    return [effect for effect in await probe.effects() if effect.startswith(prefix)]


async def test_a_kafka_that_dies_and_returns_loses_and_repeats_nothing(
    stack: LocalStack, probe: Probe, common: CommonSettings
) -> None:
    service = a_service(common, probe)
    async with service.app.router.lifespan_context(service.app):
        await announce(probe, *named("before"))
        await eventually(lambda: complete(probe, "before"), timeout_s=LONG_S)

        await stack.kill("kafka")
        await announce(probe, *named("meanwhile"))
        await stack.wait_ready("kafka")
        await announce(probe, *named("after"))
        for prefix in ("meanwhile", "after"):
            await eventually(lambda prefix=prefix: complete(probe, prefix), timeout_s=LONG_S)

    assert service._failure is None
    assert await probe.outbox() == []
    for prefix in ("before", "meanwhile", "after"):
        assert await effects_of(probe, prefix) == named(prefix)
        on_kafka = await ids_by_fact(stack, prefix)
        assert set(on_kafka) == set(named(prefix))
        assert {len(ids) for ids in on_kafka.values()} == {1}


async def complete(probe: Probe, prefix: str) -> bool:
    return len(await effects_of(probe, prefix)) >= len(named(prefix))


async def test_a_postgresql_that_dies_and_returns_loses_and_repeats_nothing(
    stack: LocalStack, probe: Probe, common: CommonSettings
) -> None:
    service = a_service(common, probe)
    async with service.app.router.lifespan_context(service.app):
        await announce(probe, *named("first"))
        await stack.kill("postgres")
        await stack.wait_ready("postgres")
        await announce(probe, *named("second"))
        for prefix in ("first", "second"):
            await eventually(lambda prefix=prefix: complete(probe, prefix), timeout_s=LONG_S)

    assert service._failure is None
    for prefix in ("first", "second"):
        assert await effects_of(probe, prefix) == named(prefix)
        on_kafka = await ids_by_fact(stack, prefix)
        assert set(on_kafka) == set(named(prefix))
        assert {len(ids) for ids in on_kafka.values()} == {1}

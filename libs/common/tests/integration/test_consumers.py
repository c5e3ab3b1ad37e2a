"""Whole services on real Kafka and PostgreSQL: what consumers do with what arrives, and what survives them."""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from loopwright.broker import ConsumerStopped, EventRouter, KafkaRecord
from loopwright.contracts.base import Event
from loopwright.contracts.envelope import Envelope, Received, seal
from loopwright.contracts.registry import LOG_RECEIVED, USER_ERASED, Party, Topic
from loopwright.errors import ServingUnavailable
from loopwright.replay import replay
from loopwright.service import Service
from loopwright.settings import CommonSettings
from loopwright.testing.examples import an_event
from loopwright.testing.probe import Probe
from loopwright.testing.waiting import eventually
from loopwright.unit_of_work import Work

FreshTopic = Callable[[Topic[Event]], Awaitable[Topic[Event]]]
ReadTopic = Callable[[str], Awaitable[list[KafkaRecord]]]


class Place:
    """Everything that a story needs: a service that is started and stopped at will, and a producer upstream of it."""

    def __init__(self, probe: Probe, common: CommonSettings, producer: AIOKafkaProducer, read_topic: ReadTopic) -> None:
        self.probe = probe
        self.common = common
        self.read_topic = read_topic
        self._producer = producer
        self.failures: dict[str, Exception] = {}
        self.seen: list[str] = []

    @asynccontextmanager
    async def service(self, *topics: Topic[Event]) -> AsyncGenerator[Service]:
        """A running service that acts on every event of these topics, unless `failures` names the event's id."""
        service = Service(
            Party.DATASET,
            self.common,
            database=Probe(self.probe.database.url, direct_url="postgresql+asyncpg:///").database,
        )
        events = EventRouter()
        for topic in topics:
            events.on(topic)(self._handle)
        service.add_events(events)
        async with service.app.router.lifespan_context(service.app):
            yield service

    async def _handle(self, received: Received[Event], work: Work) -> None:
        event_id = received.envelope.event_id
        self.seen.append(event_id)
        await self.probe.act(work.session, event_id)
        if event_id in self.failures:
            raise self.failures[event_id]

    async def publish(self, topic: Topic[Event], *event_ids: str, key: bytes = b"k") -> None:
        for event_id in event_ids:
            envelope = seal(topic, source=Party.UPSTREAM, cause=None, traceparent=None)
            headers = [(name, text.encode()) for name, text in _renamed(envelope, event_id).to_headers()]
            value = an_event(topic).model_dump_json().encode()
            await self._producer.send_and_wait(topic.name, value, key=key, headers=headers)

    async def publish_raw(self, topic: Topic[Event], value: bytes, headers: list[tuple[str, bytes]]) -> None:
        await self._producer.send_and_wait(topic.name, value, key=b"k", headers=headers)

    async def letters(self, topic: Topic[Event]) -> list[dict[str, str]]:
        records = await self.read_topic(topic.dead_letter_name)
        return [{name: value.decode() for name, value in record.headers} for record in records]

    async def committed(self, topic: Topic[Event]) -> int:
        """Records that the group has acknowledged."""
        group = f"{Party.DATASET}.{topic.name}"
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self.common.kafka_bootstrap, group_id=group, enable_auto_commit=False
        )
        await consumer.start()
        try:
            partitions = [TopicPartition(topic.name, number) for number in range(topic.partitions)]
            return sum([await consumer.committed(partition) or 0 for partition in partitions])
        finally:
            await consumer.stop()

    async def has_effects(self, *event_ids: str) -> bool:
        return set(await self.probe.effects()) >= set(event_ids)


def _renamed(envelope: Envelope, event_id: str) -> Envelope:
    return Envelope(
        event_id=event_id,
        event_type=envelope.event_type,
        source=envelope.source,
        time=envelope.time,
        correlation_id=event_id,
    )


@pytest.fixture
def place(probe: Probe, common: CommonSettings, producer: AIOKafkaProducer, read_topic: ReadTopic) -> Place:
    return Place(probe, common, producer, read_topic)


async def test_every_event_has_its_effect_in_order_and_is_then_acknowledged(
    place: Place, fresh_topic: FreshTopic
) -> None:
    topic = await fresh_topic(USER_ERASED)
    ids = [f"e{number}" for number in range(450)]
    await place.publish(topic, *ids)
    async with place.service(topic) as service:
        await eventually(lambda: place.has_effects(*ids))
        assert await place.probe.effects() == ids
        await eventually(lambda: is_true(place.committed(topic), 450))
    assert service._failure is None


async def is_true(figure: Awaitable[int], wanted: int) -> bool:
    return await figure == wanted


async def test_an_event_published_twice_has_its_effect_once(place: Place, fresh_topic: FreshTopic) -> None:
    topic = await fresh_topic(USER_ERASED)
    await place.publish(topic, "twice", "twice", "last")
    async with place.service(topic):
        await eventually(lambda: place.has_effects("last"))
    assert await place.probe.effects() == ["twice", "last"]


async def test_what_was_handled_before_a_restart_is_not_handled_after_it(place: Place, fresh_topic: FreshTopic) -> None:
    topic = await fresh_topic(USER_ERASED)
    await place.publish(topic, "before")
    async with place.service(topic):
        await eventually(lambda: place.has_effects("before"))
    await place.publish(topic, "after")
    async with place.service(topic):
        await eventually(lambda: place.has_effects("after"))
    assert await place.probe.effects() == ["before", "after"]


async def test_poison_and_bugs_go_aside_with_their_reason_and_the_rest_goes_on(
    place: Place, fresh_topic: FreshTopic
) -> None:
    topic = await fresh_topic(USER_ERASED)
    place.failures["buggy"] = ValueError("no such unit")
    await place.publish(topic, "first")
    await place.publish_raw(topic, b"\xff poison", [("ce_id", b"p"), ("ce_type", topic.event_type.encode())])
    await place.publish(topic, "buggy", "last")

    async with place.service(topic) as service:
        await eventually(lambda: place.has_effects("last"))
        await eventually(lambda: has_letters(place, topic, 2))
    assert service._failure is None

    poison, bug = await place.letters(topic)
    assert (poison["dlq_code"], poison["ce_id"]) == ("event.invalid-payload", "p")
    assert (bug["dlq_code"], bug["ce_id"], bug["dlq_reason"]) == (
        "event.handler-failed",
        "buggy",
        "ValueError('no such unit')",
    )
    assert place.seen.count("buggy") == 3
    assert await place.probe.effects() == ["first", "last"]


async def has_letters(place: Place, topic: Topic[Event], count: int) -> bool:
    """A relay that is stopped between Kafka's acknowledgement and its own commit publishes again: copies count once."""
    return len({frozenset(letter.items()) for letter in await place.letters(topic)}) == count


async def test_an_absent_dependency_stops_the_service_and_its_event_is_handled_after_the_restart(
    place: Place, fresh_topic: FreshTopic
) -> None:
    topic = await fresh_topic(USER_ERASED)
    place.failures["stuck"] = ServingUnavailable("vllm.away", "away")
    await place.publish(topic, "stuck", "behind")

    async with place.service(topic) as service:
        await eventually(lambda: failure_of(service))
        await place.publish(topic, "later")
        await asyncio.sleep(0.6)  # time for a consumer that does not really stop to acknowledge past the event
    assert isinstance(service._failure, ConsumerStopped)
    assert (await place.probe.effects(), await place.letters(topic), await place.committed(topic)) == ([], [], 0)
    assert set(place.seen) == {"stuck"}

    place.failures.clear()
    async with place.service(topic):
        await eventually(lambda: place.has_effects("stuck", "behind", "later"))
    assert await place.probe.effects() == ["stuck", "behind", "later"]


async def failure_of(service: Service) -> BaseException | None:
    return service._failure


async def test_too_many_dead_letters_stop_the_service_with_nothing_lost(place: Place, fresh_topic: FreshTopic) -> None:
    topic = await fresh_topic(USER_ERASED)
    for number in range(7):
        await place.publish_raw(topic, b"{}", [("ce_id", str(number).encode()), ("ce_type", b"of.a.bad.deploy")])

    async with place.service(topic) as service:
        await eventually(lambda: failure_of(service))
    assert "dead letters" in str(service._failure)
    assert await place.committed(topic) == 0

    place.common = place.common.model_copy(update={"dead_letter_limit": 100})
    async with place.service(topic):
        await eventually(lambda: has_letters(place, topic, 7))
    assert {letter["ce_id"] for letter in await place.letters(topic)} == {str(number) for number in range(7)}


async def test_a_failure_that_nobody_foresaw_stops_the_service_and_loses_nothing(
    place: Place, fresh_topic: FreshTopic, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = await fresh_topic(USER_ERASED)
    await place.publish_raw(topic, b"poison", [])
    await place.publish(topic, "behind")
    with monkeypatch.context() as patch:
        patch.setattr("loopwright.broker.dead_letter", unforeseen)
        async with place.service(topic) as service:
            await eventually(lambda: failure_of(service))
        assert isinstance(service._failure, KeyError)
        assert await place.committed(topic) == 0

    async with place.service(topic):
        await eventually(lambda: place.has_effects("behind"))
        await eventually(lambda: has_letters(place, topic, 1))


def unforeseen(*_: object, **__: object) -> None:
    raise KeyError("unforeseen")


async def test_a_record_of_an_upstream_app_needs_no_envelope(place: Place, fresh_topic: FreshTopic) -> None:
    topic = await fresh_topic(LOG_RECEIVED)
    await place.publish_raw(topic, an_event(LOG_RECEIVED).model_dump_json().encode(), [])
    async with place.service(topic):
        await eventually(place.probe.effects)
    [event_id] = await place.probe.effects()
    assert event_id.startswith(f"{topic.name}:")


async def test_two_services_share_a_topic_and_each_event_has_one_effect(place: Place, fresh_topic: FreshTopic) -> None:
    topic = await fresh_topic(USER_ERASED)
    ids = [f"e{number}" for number in range(200)]
    async with place.service(topic), place.service(topic):
        for event_id in ids:
            await place.publish(topic, event_id, key=event_id.encode())
        await eventually(lambda: place.has_effects(*ids))
    assert sorted(await place.probe.effects()) == sorted(ids)


class TestReplay:
    async def test_after_the_fix_the_letters_have_their_effect_once(
        self, place: Place, fresh_topic: FreshTopic
    ) -> None:
        topic = await fresh_topic(USER_ERASED)
        bootstrap = place.common.kafka_bootstrap
        place.failures |= {"a": ValueError("bug"), "b": ValueError("bug")}
        await place.publish(topic, "a", "ok", "b")
        async with place.service(topic):
            await eventually(lambda: has_letters(place, topic, 2))

            looked = await replay(bootstrap, topic.name, dry_run=True)
            assert looked == {"event.handler-failed": 2}
            assert await place.probe.effects() == ["ok"]

            place.failures.clear()
            assert await replay(bootstrap, topic.name) == {"event.handler-failed": 2}
            await eventually(lambda: place.has_effects("a", "b"))
            assert await replay(bootstrap, topic.name) == {}

            await place.publish(topic, "a", "end")
            await eventually(lambda: place.has_effects("end"))
        assert sorted(await place.probe.effects()) == ["a", "b", "end", "ok"]

    async def test_a_replay_that_dies_before_its_commit_repeats_no_effect(
        self, place: Place, fresh_topic: FreshTopic, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        topic = await fresh_topic(USER_ERASED)
        place.failures["a"] = ValueError("bug")
        await place.publish(topic, "a")
        async with place.service(topic):
            await eventually(lambda: has_letters(place, topic, 1))
            place.failures.clear()
            with monkeypatch.context() as patch:
                patch.setattr(AIOKafkaConsumer, "commit", unforeseen)
                with pytest.raises(KeyError):
                    await replay(place.common.kafka_bootstrap, topic.name)
            await eventually(lambda: place.has_effects("a"))
            assert (await replay(place.common.kafka_bootstrap, topic.name)).total() == 1
            await place.publish(topic, "end")
            await eventually(lambda: place.has_effects("end"))
        assert await place.probe.effects() == ["a", "end"]

    async def test_only_letters_with_the_wanted_code_go_back(self, place: Place, fresh_topic: FreshTopic) -> None:
        topic = await fresh_topic(USER_ERASED)
        place.failures["bug"] = ValueError("bug")
        await place.publish_raw(topic, b"poison", [("ce_id", b"p"), ("ce_type", topic.event_type.encode())])
        await place.publish(topic, "bug")
        async with place.service(topic):
            await eventually(lambda: has_letters(place, topic, 2))
            place.failures.clear()
            replayed = await replay(place.common.kafka_bootstrap, topic.name, code="event.handler-failed")
            assert replayed == {"event.handler-failed": 1}
            await eventually(lambda: place.has_effects("bug"))
        assert len(await place.letters(topic)) == 2

    async def test_a_letter_without_envelope_keeps_the_id_of_its_first_position(
        self, place: Place, fresh_topic: FreshTopic
    ) -> None:
        topic = await fresh_topic(LOG_RECEIVED)
        broken = {"type": "application", "timestamp": "not a time", "count": 0, "data": []}
        await place.publish_raw(topic, json.dumps(broken).encode(), [])
        async with place.service(topic):
            await eventually(lambda: has_letters(place, topic, 1))
            [letter] = await place.letters(topic)
            assert (await replay(place.common.kafka_bootstrap, topic.name)).total() == 1
            await eventually(lambda: has_letters(place, topic, 2))
        again = (await place.letters(topic))[1]
        assert again["ce_id"] == letter["dlq_position"] != again["dlq_position"]

    async def test_a_replay_without_a_fix_ends_and_leaves_as_many_letters(
        self, place: Place, fresh_topic: FreshTopic
    ) -> None:
        topic = await fresh_topic(USER_ERASED)
        place.failures |= {"a": ValueError("bug"), "b": ValueError("bug")}
        await place.publish(topic, "a", "b")
        async with place.service(topic):
            await eventually(lambda: has_letters(place, topic, 2))
            assert (await replay(place.common.kafka_bootstrap, topic.name)).total() == 2
            await eventually(lambda: has_letters(place, topic, 4))
            assert (await replay(place.common.kafka_bootstrap, topic.name, dry_run=True)).total() == 2

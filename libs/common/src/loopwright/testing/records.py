"""Kafka records for tests, as the relay or an upstream app would have written them."""

from aiokafka import ConsumerRecord

from loopwright.contracts.base import Event
from loopwright.contracts.envelope import Envelope, seal
from loopwright.contracts.registry import Topic, topic_of
from loopwright.dead_letters import KafkaRecord


def a_record(event: Event, *, envelope: Envelope | None = None, offset: int = 0) -> KafkaRecord:
    """A record that holds an event, by default in a new envelope of the topic's first producer."""
    topic = topic_of(event)
    envelope = envelope or seal(topic, source=topic.producers[0], cause=None, traceparent=None)
    headers = [(name, value.encode()) for name, value in envelope.to_headers()]
    key = topic.key_of(event).encode()
    return a_raw_record(topic, event.model_dump_json().encode(), headers=headers, key=key, offset=offset)


def a_raw_record(
    topic: Topic[Event],
    value: bytes | None,
    *,
    headers: list[tuple[str, bytes]] | None = None,
    key: bytes | None = None,
    offset: int = 0,
) -> KafkaRecord:
    """Any record at all on a topic's partition 0."""
    return ConsumerRecord(
        topic=topic.name,
        partition=0,
        offset=offset,
        timestamp=0,
        timestamp_type=0,
        key=key,
        value=value,
        checksum=None,
        serialized_key_size=len(key or b""),
        serialized_value_size=len(value or b""),
        headers=tuple(headers or ()),
    )

"""Kafka records as they came, and what is said of those that could not be handled."""

from datetime import UTC, datetime

from aiokafka import ConsumerRecord

from loopwright.contracts.base import Event
from loopwright.contracts.registry import Topic
from loopwright.outbox import OutboxRecord

KafkaRecord = ConsumerRecord[bytes | None, bytes | None]


def position_of(record: KafkaRecord) -> str:
    """`topic:partition:offset`, unique in a cluster."""
    return f"{record.topic}:{record.partition}:{record.offset}"


def dead_letter(topic: Topic[Event], record: KafkaRecord, *, group: str, code: str, reason: str) -> OutboxRecord:
    """The record as it came, with headers that say why, where and for whom it could not be handled."""
    kept = ((name, (value or b"").decode("utf-8", "backslashreplace")) for name, value in record.headers)
    why = (
        ("dlq_code", code),
        ("dlq_reason", reason[:2000]),
        ("dlq_position", position_of(record)),
        ("dlq_group", group),
        ("dlq_at", datetime.now(UTC).isoformat()),
    )
    headers = tuple((_storable(name), _storable(value)) for name, value in (*kept, *why))
    return OutboxRecord(topic=topic.dead_letter_name, key=record.key, value=record.value, headers=headers)


def _storable(text: str) -> str:
    """PostgreSQL's text has no NUL."""
    return text.replace("\0", "\\x00")

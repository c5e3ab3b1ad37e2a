"""How Kafka should keep a topic: read by whoever creates topics, and by the published documents."""

from datetime import timedelta

from loopwright.contracts.base import Event
from loopwright.contracts.registry import Topic

_DEAD_LETTER_RETENTION = timedelta(days=90)

DEAD_LETTER_PARTITIONS = 1
MAX_EVENT_BYTES = 1_000_000  # what Kafka's default limit of 1 MiB a record leaves beside key, headers and framing
MAX_RECORD_BYTES = 2 * 1024 * 1024  # a dead letter is its record, however full that was, and the reason


def settings_of(topic: Topic[Event]) -> dict[str, str]:
    """Kafka's topic configuration: compacted, or deleted after its retention."""
    if topic.retention is None:
        return {"cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0.1"}
    return _delete_after(topic.retention)


def dead_letter_settings() -> dict[str, str]:
    """Kafka's configuration of every dead-letter topic."""
    return _delete_after(_DEAD_LETTER_RETENTION) | {"max.message.bytes": str(MAX_RECORD_BYTES)}


def _delete_after(retention: timedelta) -> dict[str, str]:
    return {"cleanup.policy": "delete", "retention.ms": str(int(retention.total_seconds() * 1000))}

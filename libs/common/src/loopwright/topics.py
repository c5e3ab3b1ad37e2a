"""Creates the registry's topics and their dead-letter topics: `python -m loopwright.topics`."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta

from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from loopwright.contracts.base import Event
from loopwright.contracts.registry import TOPICS, Topic
from loopwright.settings import CommonSettings

_DEAD_LETTER_RETENTION = timedelta(days=90)


def _settings_of(topic: Topic[Event]) -> dict[str, str]:
    if topic.retention is None:
        return {"cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0.1"}
    return _delete_after(topic.retention)


def _delete_after(retention: timedelta) -> dict[str, str]:
    return {"cleanup.policy": "delete", "retention.ms": str(int(retention.total_seconds() * 1000))}


def wanted_topics(replication: int) -> Iterator[NewTopic]:
    """Every topic with its dead-letter topic, as Kafka should have them."""
    for topic in TOPICS:
        yield NewTopic(topic.name, topic.partitions, replication, topic_configs=_settings_of(topic))
        dead = _delete_after(_DEAD_LETTER_RETENTION)
        yield NewTopic(topic.dead_letter_name, 1, replication, topic_configs=dead)


async def create_missing_topics(bootstrap: str, *, replication: int) -> list[str]:
    """Creates what is missing, leaves the rest as it is.

    Returns:
        Names of the topics that were created.
    """
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        present = set(await admin.list_topics())
        missing = [topic for topic in wanted_topics(replication) if topic.name not in present]
        if missing:
            await admin.create_topics(missing)
        return [topic.name for topic in missing]
    finally:
        await admin.close()


def main() -> None:
    settings = CommonSettings()
    asyncio.run(create_missing_topics(settings.kafka_bootstrap, replication=settings.kafka_replication))


if __name__ == "__main__":
    main()

"""Creates the registry's topics and their dead-letter topics: `python -m loopwright.topics`."""

import asyncio
from collections.abc import Iterator

from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from loopwright.contracts.kafka_settings import DEAD_LETTER_PARTITIONS, dead_letter_settings, settings_of
from loopwright.contracts.registry import TOPICS
from loopwright.settings import CommonSettings


def wanted_topics(replication: int) -> Iterator[NewTopic]:
    """Every topic with its dead-letter topic, as Kafka should have them."""
    for topic in TOPICS:
        yield NewTopic(topic.name, topic.partitions, replication, topic_configs=settings_of(topic))
        yield NewTopic(
            topic.dead_letter_name, DEAD_LETTER_PARTITIONS, replication, topic_configs=dead_letter_settings()
        )


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

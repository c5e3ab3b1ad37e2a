"""Creates the registry's topics and their dead-letter topics: `python -m loopwright.topics`."""

import asyncio
from collections.abc import Iterator, Sequence

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import NoError, TopicAlreadyExistsError, for_code

from loopwright.contracts.kafka_settings import DEAD_LETTER_PARTITIONS, dead_letter_settings, settings_of
from loopwright.contracts.registry import TOPICS
from loopwright.errors import BrokerUnavailable
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

    Raises:
        BrokerUnavailable: the cluster refused to create one.
    """
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        present = set(await admin.list_topics())
        missing = [topic for topic in wanted_topics(replication) if topic.name not in present]
        answer = await admin.create_topics(missing) if missing else None
        return list(_created(answer.topic_errors if answer else ()))  # pyright: ignore[reportAttributeAccessIssue] - the client gives all its answers one type
    finally:
        await admin.close()


def _created(answers: Sequence[tuple[str, int, str | None]]) -> Iterator[str]:
    for name, code, message in answers:
        if code == NoError.errno:
            yield name
        elif code != TopicAlreadyExistsError.errno:  # somebody else may have been quicker
            reason = message or for_code(code).__name__
            raise BrokerUnavailable("broker.topic-refused", f"{name} could not be created: {reason}")


def main() -> None:
    settings = CommonSettings()
    asyncio.run(create_missing_topics(settings.kafka_bootstrap, replication=settings.kafka_replication))


if __name__ == "__main__":
    main()

"""Topics are created as the registry wants them, once, and a cluster that refuses is not passed over."""

from collections.abc import AsyncGenerator
from dataclasses import replace

import pytest
import pytest_asyncio
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from loopwright import topics
from loopwright.contracts.base import Event
from loopwright.contracts.registry import INFERENCE_RATED, TASK_DEFINED, Topic
from loopwright.errors import BrokerUnavailable
from loopwright.topics import create_missing_topics


@pytest_asyncio.fixture
async def declared(
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest, admin: AIOKafkaAdminClient
) -> AsyncGenerator[list[Topic[Event]]]:
    """Two topics under names of this test alone."""
    prefix = "".join(letter for letter in request.node.name if letter.isalpha())
    found = [replace(topic, name=f"{prefix}.{topic.name}") for topic in (TASK_DEFINED, INFERENCE_RATED)]
    monkeypatch.setattr(topics, "TOPICS", tuple(found))
    yield found
    await admin.delete_topics([name for topic in found for name in (topic.name, topic.dead_letter_name)])


async def settings_of(admin: AIOKafkaAdminClient, name: str) -> dict[str, str]:
    [answer] = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name)])
    return {entry[0]: entry[1] for entry in answer.resources[0][4]}


async def test_creates_every_topic_with_its_dead_letters_and_then_nothing(
    kafka_bootstrap: str, admin: AIOKafkaAdminClient, declared: list[Topic[Event]]
) -> None:
    names = [name for topic in declared for name in (topic.name, topic.dead_letter_name)]

    assert await create_missing_topics(kafka_bootstrap, replication=1) == names
    assert await create_missing_topics(kafka_bootstrap, replication=1) == []

    compacted, rated = declared
    described = {entry["topic"]: len(entry["partitions"]) for entry in await admin.describe_topics(names)}
    assert described == dict.fromkeys(names, 1) | {rated.name: 6}
    assert (await settings_of(admin, compacted.name))["cleanup.policy"] == "compact"
    kept = await settings_of(admin, rated.name)
    assert (kept["cleanup.policy"], kept["retention.ms"]) == ("delete", str(30 * 24 * 3600 * 1000))
    dead = await settings_of(admin, compacted.dead_letter_name)
    assert (dead["cleanup.policy"], dead["retention.ms"]) == ("delete", str(90 * 24 * 3600 * 1000))
    assert int(dead["max.message.bytes"]) > int(kept["max.message.bytes"])


async def test_creates_only_what_is_missing(
    kafka_bootstrap: str, declared: list[Topic[Event]], monkeypatch: pytest.MonkeyPatch
) -> None:
    compacted, rated = declared
    with monkeypatch.context() as patch:
        patch.setattr(topics, "TOPICS", (compacted,))
        await create_missing_topics(kafka_bootstrap, replication=1)
    created = await create_missing_topics(kafka_bootstrap, replication=1)
    assert created == [rated.name, rated.dead_letter_name]


async def test_two_starters_at_once_do_not_trip_over_each_other(
    kafka_bootstrap: str, declared: list[Topic[Event]], monkeypatch: pytest.MonkeyPatch
) -> None:
    await create_missing_topics(kafka_bootstrap, replication=1)

    async def nothing_yet(_self: AIOKafkaAdminClient) -> list[str]:
        return []

    monkeypatch.setattr(AIOKafkaAdminClient, "list_topics", nothing_yet)
    assert await create_missing_topics(kafka_bootstrap, replication=1) == []


@pytest.mark.usefixtures("declared")
async def test_a_cluster_that_refuses_is_an_error(kafka_bootstrap: str) -> None:
    with pytest.raises(BrokerUnavailable, match="replication"):
        await create_missing_topics(kafka_bootstrap, replication=3)

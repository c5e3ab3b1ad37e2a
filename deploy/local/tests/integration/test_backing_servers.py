"""The real servers under the supervisor: what they were given survives their death."""

import asyncio
import os
import subprocess
import uuid
from collections.abc import AsyncGenerator
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from loopwright_local.parts.kafka import kafka_part
from loopwright_local.stack import LocalStack
from loopwright_local.testing import settings_for_tests

PARTITION = TopicPartition("kept", 0)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[LocalStack]:
    settings = settings_for_tests(tmp_path_factory.mktemp("stack"), "postgres", "kafka")
    async with LocalStack(settings.model_copy(update={"postgres_fsync": True}), quiet=True) as running:
        yield running


async def ask(stack: LocalStack, statement: str) -> object:
    connection = await asyncpg.connect(stack.urls.database.replace("+asyncpg", ""))
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


class TestPostgres:
    async def test_keeps_what_it_committed_when_it_is_killed(self, stack: LocalStack) -> None:
        await ask(stack, "CREATE TABLE kept AS SELECT generate_series(1, 1000) AS n")
        await stack.kill("postgres")
        await stack.wait_ready("postgres")
        assert await ask(stack, "SELECT count(*) FROM kept") == 1000

    async def test_starts_over_a_pid_file_whose_number_another_process_has_now(self, stack: LocalStack) -> None:
        pid_file = stack.settings.dir / "postgres/data/postmaster.pid"
        _, *lines = pid_file.read_text().splitlines()
        owner = pid_file.stat().st_uid
        # of the same account, or PostgreSQL would see by itself that it cannot be one of its own
        with subprocess.Popen(("sleep", "60"), user=owner if os.geteuid() == 0 else None) as other:  # noqa: ASYNC220
            await stack.kill("postgres")
            pid_file.write_text("\n".join([str(other.pid), *lines, ""]))
            await stack.wait_ready("postgres")
            other.kill()
        assert int(pid_file.read_text().split()[0]) == stack.pid("postgres")

    async def test_has_vectors_trigrams_and_a_database_for_mlflow(self, stack: LocalStack) -> None:
        assert await ask(stack, "SELECT '[1,2]'::vector <-> '[1,3]'::vector") == 1
        assert await ask(stack, "SELECT count(*) FROM pg_available_extensions WHERE name = 'pg_trgm'") == 1
        assert await ask(stack, "SELECT count(*) FROM pg_database WHERE datname = 'mlflow'") == 1

    async def test_lets_nobody_in_without_the_password(self, stack: LocalStack) -> None:
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(
                host="127.0.0.1",
                port=stack.settings.postgres_port,
                user="loopwright",
                password="guess",
                database="postgres",
            )


class TestKafka:
    async def test_keeps_what_it_acknowledged_when_it_is_killed(self, stack: LocalStack) -> None:
        await make_topic(stack)
        await send(stack, range(500))
        await stack.kill("kafka")
        await stack.wait_ready("kafka")
        await send(stack, range(500, 600))
        assert await read(stack, 600) == list(range(600))

    async def test_formats_its_folder_when_the_new_cluster_id_begins_with_a_dash(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        beginning_with_a_dash = uuid.UUID(bytes=b"\xf8" + bytes(15))
        monkeypatch.setattr(uuid, "uuid4", lambda: beginning_with_a_dash)
        await kafka_part(settings_for_tests(tmp_path, "kafka")).prepare()
        assert "cluster.id=-AAA" in (tmp_path / "kafka/data/meta.properties").read_text()

    async def test_makes_no_topic_that_nobody_declared(self, stack: LocalStack) -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=stack.urls.kafka_bootstrap)
        await admin.start()
        try:
            await admin.describe_topics(["typo"])
            assert "typo" not in await admin.list_topics()
        finally:
            await admin.close()


async def make_topic(stack: LocalStack) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=stack.urls.kafka_bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic(PARTITION.topic, 1, 1)])
    await admin.close()


async def send(stack: LocalStack, numbers: range) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=stack.urls.kafka_bootstrap, acks="all", enable_idempotence=True)
    await producer.start()
    try:
        sent = [await producer.send(PARTITION.topic, str(number).encode(), partition=0) for number in numbers]
        await asyncio.wait_for(asyncio.gather(*sent), 20)
    finally:
        await producer.stop()


async def read(stack: LocalStack, count: int) -> list[int]:
    consumer = AIOKafkaConsumer(bootstrap_servers=stack.urls.kafka_bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    try:
        consumer.assign([PARTITION])
        numbers: list[int] = []
        async with asyncio.timeout(20):
            while len(numbers) < count:
                batches = await consumer.getmany(timeout_ms=500)
                numbers += [int(record.value) for records in batches.values() for record in records]
        return numbers
    finally:
        await consumer.stop()


def test_key_files_are_for_their_owner_only(stack: LocalStack) -> None:
    public = {"jwks.json", "artefacts-public.pem"}
    secret = [path for path in stack.settings.keys_dir.iterdir() if path.name not in public]
    assert {path.name for path in secret} == {
        "token-private.json",
        "router-token.jwt",
        "api-keys.json",
        "inference-signing.key",
        "storage-keys.json",
        "postgres-password",
        "pseudonym.key",
        "watermark.key",
        "artefacts-private.pem",
    }
    assert all(path.stat().st_mode & 0o077 == 0 for path in secret)

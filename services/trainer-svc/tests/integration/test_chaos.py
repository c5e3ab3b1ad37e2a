"""The service while everything around it is killed: training process, service, PostgreSQL, Kafka; one job, one end."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import pytest
import pytest_asyncio
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaConnectionError
from trainer_world import TASK, World, a_request

from loopwright.contracts.base import RunState
from loopwright.contracts.datasets import Split
from loopwright.contracts.envelope import seal
from loopwright.contracts.jobs import JobFinished, JobRequested, TrainingData
from loopwright.contracts.registry import JOB_FINISHED, JOB_REQUESTED
from loopwright.testing.waiting import eventually
from loopwright.topics import create_missing_topics
from loopwright_local.processes import run_as
from loopwright_local.settings import ROOT, free_ports
from loopwright_local.stack import LocalStack
from loopwright_local.testing import settings_for_tests

pytestmark = [pytest.mark.timeout(300), pytest.mark.usefixtures("scripted")]
STEPS, EVERY = 240, 20


class Kept:
    """A trainer-svc that is started again whenever it ends, as any supervisor would."""

    def __init__(self, env: dict[str, str], log: Path) -> None:
        self._env = os.environ | env  # noqa: TID251 - a service's settings are its environment
        self._log = log
        self.pid = 0

    async def run(self) -> None:
        process = None
        try:
            while True:
                with self._log.open("ab") as log:
                    process = await asyncio.create_subprocess_exec(
                        sys.executable, "-m", "trainer_svc.main", env=self._env, stdout=log, stderr=log
                    )
                self.pid = process.pid
                await process.wait()
                await asyncio.sleep(0.3)
        finally:
            if process is not None and process.returncode is None:
                process.kill()
                await process.wait()


@pytest_asyncio.fixture
async def stack(tmp_path: Path) -> AsyncGenerator[LocalStack]:
    """PostgreSQL and Kafka of this test's own, which come back when they are killed."""
    settings = settings_for_tests(tmp_path / "stack", "kafka", "postgres")
    # as in production: what was committed outlives a kill
    async with LocalStack(settings.model_copy(update={"postgres_fsync": True}), quiet=True) as stack:
        env = {"LOOPWRIGHT_DATABASE_URL": stack.urls.database}
        command = (sys.executable, "-m", "loopwright.migrations", "services/trainer-svc")
        await asyncio.to_thread(run_as, None, "migrations", command, env=env, cwd=ROOT)
        await create_missing_topics(stack.urls.kafka_bootstrap, replication=1)
        yield stack


async def test_one_job_ends_once_though_process_service_database_and_broker_are_killed(
    stack: LocalStack, storage_uri: str, tmp_path: Path
) -> None:
    world = World(
        stack.urls.database, direct_url=stack.urls.database, storage_uri=storage_uri, work_dir=tmp_path / "training"
    )
    (port,) = free_ports(1)
    env = {
        "LOOPWRIGHT_DATABASE_URL": stack.urls.database, "LOOPWRIGHT_KAFKA_BOOTSTRAP": stack.urls.kafka_bootstrap,
        "LOOPWRIGHT_STORAGE_URI": storage_uri, "LOOPWRIGHT_MLFLOW_URI": "http://127.0.0.1:9",
        "TRAINER_PORT": str(port), "TRAINER_BASE_MODELS": json.dumps({"tiny": "tiny-model"}),
        "TRAINER_WORK_DIR": str(world.work_dir), "TRAINER_MODULE": "scripted_recipe", "TRAINER_LEASE_TTL_S": "4",
        "TRAINER_MAX_ATTEMPTS": "20",
    }  # fmt: skip
    service = Kept(env, tmp_path / "service.log")
    keeping = asyncio.create_task(service.run())
    try:
        await publish(stack.urls.kafka_bootstrap, await a_long_job(world))
        await through_chaos(stack, world, service)
        job = await ended(world)
        finished = await finished_on_kafka(stack.urls.kafka_bootstrap)
    finally:
        keeping.cancel()
        with suppress(asyncio.CancelledError):
            await keeping

    assert (job["state"], job["step"]) == (RunState.SUCCEEDED, STEPS)
    assert job["attempt"] >= 3  # the process and the service were killed once each
    assert not (world.work_dir / "job-1" / "twice").exists()
    await check_little_was_lost(world)
    assert [(event.job_id, event.state) for event in finished] == [("job-1", RunState.SUCCEEDED)]
    assert await world.table("job_devices") == []
    await world.close()


async def through_chaos(stack: LocalStack, world: World, service: Kept) -> None:
    """Kills one after the other, each once the job has made some way since."""
    await reached(world, 30)
    os.kill(the_process(world.work_dir), signal.SIGKILL)
    await reached(world, 70, attempt=2)
    os.kill(service.pid, signal.SIGKILL)
    await reached(world, 110, attempt=3)
    await stack.kill("postgres")
    await reached(world, 150)
    await stack.kill("kafka")
    await reached(world, 180)


async def check_little_was_lost(world: World) -> None:
    """Every attempt begins at most one checkpoint's steps before where the one before it was last seen."""
    by_attempt: dict[int, list[int]] = {}
    for row in await world.table("job_metrics"):
        by_attempt.setdefault(row["attempt"], []).append(row["step"])
    attempts = sorted(by_attempt)
    assert min(by_attempt[attempts[0]]) == 1
    for before, after in pairwise(attempts):
        assert max(by_attempt[before]) - min(by_attempt[after]) < EVERY
    assert set().union(*by_attempt.values()) == set(range(1, STEPS + 1))


async def a_long_job(world: World) -> JobRequested:
    script = json.dumps({"train": STEPS, "every": EVERY, "pause_s": 0.05}) + "\n" + json.dumps({"adapter": "weights"})
    artifact = await world.storage.put_bytes(script.encode(), kind="datasets", suffix=".jsonl", media_type="text/plain")
    none = await world.storage.put_bytes(b"", kind="datasets", suffix=".jsonl", media_type="text/plain")
    split, empty = Split(artifact=artifact, samples=2), Split(artifact=none, samples=0)
    data = TrainingData(dataset_id="ds", version_id="dsv", train=split, validation=empty, held_out=empty)
    return a_request(1, training_data=data.model_dump(mode="json"))


async def publish(bootstrap: str, request: JobRequested) -> None:
    envelope = seal(JOB_REQUESTED, source=JOB_REQUESTED.producers[0], cause=None, traceparent=None)
    headers = [(name, text.encode()) for name, text in envelope.to_headers()]
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all")
    await producer.start()
    try:
        for _ in range(2):  # delivered twice
            value = request.model_dump_json().encode()
            await producer.send_and_wait(JOB_REQUESTED.name, value, key=TASK.encode(), headers=headers)
    finally:
        await producer.stop()


async def reached(world: World, step: int, *, attempt: int = 1) -> None:
    """Waits for a step, also while the database is away."""

    async def look() -> bool:
        with suppress(Exception):  # in whatever way a database fails that is being killed
            rows = await world.table("jobs")
            return any(row["step"] >= step and row["attempt"] >= attempt for row in rows)
        return False

    await eventually(look, timeout_s=90)


async def ended(world: World) -> dict[str, object]:
    async def look() -> dict[str, object] | None:
        with suppress(Exception):
            job = await world.job()
            return dict(job) if job["finished_at"] else None
        return None

    job = await eventually(look, timeout_s=120)
    assert job is not None
    return job


def the_process(folder: Path) -> int:
    """Id of the process that works in a folder."""
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if "scripted_recipe" in (text := entry.read_text(errors="replace")) and str(folder) in text:
                return int(entry.parent.name)
    raise AssertionError("no training process")


async def finished_on_kafka(bootstrap: str) -> list[JobFinished]:
    """All ends that were told, once there is one and the outbox had time for a second."""

    async def look() -> list[JobFinished]:
        consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
        try:
            await consumer.start()
        except KafkaConnectionError:  # it is not back yet
            await consumer.stop()
            return []
        try:
            await consumer._client.set_topics([JOB_FINISHED.name])
            numbers = sorted(consumer.partitions_for_topic(JOB_FINISHED.name) or ())
            partitions = [TopicPartition(JOB_FINISHED.name, number) for number in numbers]
            consumer.assign(partitions)
            await consumer.seek_to_beginning(*partitions)
            ends = await consumer.end_offsets(partitions)
            values: list[bytes] = []
            while any([await consumer.position(partition) < end for partition, end in ends.items()]):
                batches = await consumer.getmany(timeout_ms=200)
                values += [record.value for batch in batches.values() for record in batch]
            return [JOB_FINISHED.event.model_validate_json(value) for value in values]
        finally:
            await consumer.stop()

    return await eventually(look, timeout_s=90)

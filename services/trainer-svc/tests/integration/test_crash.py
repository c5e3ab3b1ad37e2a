"""The whole service on real Kafka, PostgreSQL and MLflow, with the real recipe, killed in the middle of a training."""

import asyncio
import json
import os
import signal
import sys
import tarfile
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

import pytest
import pytest_asyncio
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from mlflow import MlflowClient
from mlflow.entities import Run
from test_worker import processes_in
from trainer_world import TASK, World, a_task, a_version

from loopwright.contracts.base import Artifact, Event, RunState
from loopwright.contracts.envelope import Envelope, seal
from loopwright.contracts.jobs import JobFinished
from loopwright.contracts.registry import DATASET_VALIDATED, JOB_FINISHED, Topic, topic_of
from loopwright.testing.waiting import eventually
from loopwright.topics import create_missing_topics
from loopwright_local.settings import free_ports

# each start of the recipe imports torch, transformers and TRL; MLflow takes ten seconds to start
pytestmark = [pytest.mark.timeout(600)]
SETTINGS = {
    "lora_rank": 4, "lora_alpha": 8, "lora_dropout": 0.1, "learning_rate": 0.01, "batch_size": 4, "num_epochs": 24,
    "max_seq_length": 64, "checkpoint_every_steps": 20,
}  # fmt: skip


class Stack:
    """A trainer-svc process that can be killed, and Kafka around it."""

    def __init__(self, env: dict[str, str], bootstrap: str, producer: AIOKafkaProducer) -> None:
        self._env = env
        self._bootstrap = bootstrap
        self._producer = producer
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        env = os.environ | self._env  # noqa: TID251 - a service's settings are its environment
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "trainer_svc.main", env=env, stdout=asyncio.subprocess.DEVNULL
        )

    async def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        assert self._process is not None
        self._process.send_signal(number)
        await self._process.wait()

    async def publish(self, event: Event, *, envelope: Envelope | None = None) -> Envelope:
        topic = topic_of(event)
        envelope = envelope or seal(topic, source=topic.producers[0], cause=None, traceparent=None)
        await self.publish_raw(topic, event.model_dump_json().encode(), envelope)
        return envelope

    async def publish_raw(self, topic: Topic[Event], value: bytes, envelope: Envelope) -> None:
        headers = [(name, text.encode()) for name, text in envelope.to_headers()]
        await self._producer.send_and_wait(topic.name, value, key=TASK.encode(), headers=headers)

    async def read(self, name: str) -> list[bytes]:
        """All values on a topic up to now."""
        consumer = AIOKafkaConsumer(bootstrap_servers=self._bootstrap, enable_auto_commit=False)
        await consumer.start()
        try:
            partitions = [TopicPartition(name, number) for number in await self._partitions(consumer, name)]
            consumer.assign(partitions)
            await consumer.seek_to_beginning(*partitions)
            ends = await consumer.end_offsets(partitions)
            values: list[bytes] = []
            while any([await consumer.position(partition) < end for partition, end in ends.items()]):
                batches = await consumer.getmany(timeout_ms=200)
                values += [record.value for batch in batches.values() for record in batch]
            return values
        finally:
            await consumer.stop()

    async def _partitions(self, consumer: AIOKafkaConsumer, name: str) -> list[int]:
        await consumer._client.set_topics([name])
        return sorted(consumer.partitions_for_topic(name) or ())

    async def finished(self) -> list[JobFinished]:
        return [JOB_FINISHED.event.model_validate_json(value) for value in await self.read(JOB_FINISHED.name)]


@pytest_asyncio.fixture
async def stack(world: World, kafka_bootstrap: str, mlflow_uri: str, tiny_model: Path) -> AsyncGenerator[Stack]:
    (port,) = free_ports(1)
    await create_missing_topics(kafka_bootstrap, replication=1)
    env = {
        "LOOPWRIGHT_DATABASE_URL": world.url, "LOOPWRIGHT_KAFKA_BOOTSTRAP": kafka_bootstrap,
        "LOOPWRIGHT_STORAGE_URI": world.storage_uri, "LOOPWRIGHT_MLFLOW_URI": mlflow_uri,
        "TRAINER_PORT": str(port), "TRAINER_BASE_MODELS": json.dumps({"tiny": str(tiny_model)}),
        "TRAINER_WORK_DIR": str(world.work_dir), "TRAINER_CPU_THREADS": "1",
    }  # fmt: skip
    producer = AIOKafkaProducer(bootstrap_servers=kafka_bootstrap, acks="all")
    await producer.start()
    stack = Stack(env, kafka_bootstrap, producer)
    await stack.start()
    yield stack
    await stack.kill(signal.SIGTERM)
    await producer.stop()


async def the_job(world: World) -> str:
    rows = await eventually(lambda: world.table("jobs"), timeout_s=60)
    return str(rows[-1]["job_id"])


async def test_kill_9_in_mid_training_costs_the_steps_since_the_checkpoint_and_nothing_is_done_twice(
    world: World,
    stack: Stack,
    mlflow_uri: str,
    tmp_path: Path,
    write_samples: Callable[[Path, int], Path],
) -> None:
    train = await world.storage.put_file(
        write_samples(tmp_path / "train.jsonl", 26), kind="datasets", suffix=".jsonl", media_type="application/jsonl"
    )
    split = {"artifact": train.model_dump(mode="json"), "samples": 26}
    version = a_version(train=split, validation=split)
    await stack.publish(a_task(training={"auto": True, "hyperparameters": SETTINGS}))
    envelope = await stack.publish(version)
    await stack.publish(version, envelope=envelope)  # delivered twice
    await stack.publish_raw(DATASET_VALIDATED, b"{", seal(
        DATASET_VALIDATED, source=DATASET_VALIDATED.producers[0], cause=None, traceparent=None
    ))  # fmt: skip

    job_id = await the_job(world)
    await world.reached(50, job_id, timeout_s=200)
    await stack.kill()
    await eventually(lambda: _nothing_runs(world.work_dir), timeout_s=10)
    at_the_kill = (await world.job(job_id))["step"]
    assert at_the_kill < 168
    await stack.start()
    job = await world.ended(job_id, timeout_s=300)

    assert (job["state"], job["attempt"], job["step"]) == (RunState.SUCCEEDED, 2, 168)
    metrics = [row for row in await world.table("job_metrics") if row["loss"] is not None]
    resumed_at = min(row["step"] for row in metrics if row["attempt"] == 2)
    assert resumed_at > 40
    assert at_the_kill - resumed_at < 20 + 5  # at most the steps since the last checkpoint, and those not yet recorded
    finished = await eventually(stack.finished)
    assert [(event.job_id, event.state) for event in finished] == [(job_id, RunState.SUCCEEDED)]
    assert len(await world.table("jobs")) == 1
    assert len(await stack.read(DATASET_VALIDATED.dead_letter_name)) == 1
    await check_tracked(mlflow_uri, str(job["mlflow_run_id"]))
    await check_same_as_undisturbed(world, stack, version, await weights_of(world, job["adapter"], tmp_path))


async def check_tracked(uri: str, run_id: str) -> None:
    """One run holds both attempts, and is closed."""
    client = MlflowClient(uri)

    async def closed() -> Run | None:  # it is closed after the job's end was recorded
        run = await asyncio.to_thread(client.get_run, run_id)
        return run if run.info.status == "FINISHED" else None

    run = await eventually(closed)
    assert run is not None
    assert run.data.params["lora_rank"] == "4"
    history = await asyncio.to_thread(client.get_metric_history, run_id, "loss")
    assert {metric.step for metric in history} >= {1, 168}


async def weights_of(world: World, adapter: Artifact, folder: Path) -> bytes:
    """What was learned; the card beside it names job and times, so no two of those are equal."""
    archive = folder / f"{adapter.sha256}.tar"
    await world.storage.fetch(adapter, archive)
    with tarfile.open(archive) as tar:
        weights = tar.extractfile("adapter_model.safetensors")
        assert weights is not None
        return weights.read()


async def check_same_as_undisturbed(world: World, stack: Stack, version: Event, weights: bytes) -> None:
    """The same data once more, undisturbed, gives the same weights, byte for byte."""
    await stack.publish(version.model_copy(update={"version": 2, "version_id": "dsv-2"}))
    rows = await eventually(lambda: _two_jobs(world), timeout_s=60)
    second = max(rows, key=lambda row: row["requested_at"])
    job = await world.ended(str(second["job_id"]), timeout_s=300)
    assert (job["state"], job["attempt"]) == (RunState.SUCCEEDED, 1)
    assert await weights_of(world, job["adapter"], world.work_dir) == weights


async def _two_jobs(world: World) -> list[object] | None:
    rows = await world.table("jobs")
    return rows if len(rows) == 2 else None


async def _nothing_runs(folder: Path) -> bool:
    return processes_in(folder) == []

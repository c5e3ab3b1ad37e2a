"""The service as a process: real Kafka, PostgreSQL and MLflow, killed in the middle of an evaluation."""

import asyncio
import json
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
import yaml
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from loopwright.broker import KafkaRecord
from loopwright.contracts.base import Event
from loopwright.contracts.envelope import seal
from loopwright.contracts.registry import (
    ALERT_RAISED,
    DATASET_DEPRECATED,
    DEPLOYMENT_CHANGED,
    EXPERIMENT_CONCLUDED,
    JOB_FINISHED,
    MODEL_EVALUATED,
    MODEL_REGISTERED,
    TASK_DEFINED,
    Party,
    Topic,
)
from loopwright.testing.examples import an_event
from loopwright.testing.records import a_raw_record, a_record
from loopwright.testing.waiting import eventually
from loopwright.topics import create_missing_topics
from loopwright_local.settings import free_ports

pytestmark = pytest.mark.integration
TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACEPARENT = f"00-{TRACE_ID}-00f067aa0ba902b7-01"
PATIENCE_S = 60


class Cluster:
    """Kafka as the neighbours of registry-svc see it."""

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap

    async def publish(self, *records: KafkaRecord) -> None:
        producer = AIOKafkaProducer(bootstrap_servers=self.bootstrap)
        await producer.start()
        for record in records:
            headers = list(record.headers)
            await producer.send_and_wait(record.topic, value=record.value, key=record.key, headers=headers)
        await producer.stop()

    async def records(self, topic: str) -> list[KafkaRecord]:
        """Everything on a topic now."""
        consumer = AIOKafkaConsumer(
            topic, bootstrap_servers=self.bootstrap, enable_auto_commit=False, auto_offset_reset="earliest"
        )
        await consumer.start()
        try:
            parts = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic) or ()]
            ends = await consumer.end_offsets(parts)
            found: list[KafkaRecord] = []
            while any([await consumer.position(part) < end for part, end in ends.items()]):
                batches = await consumer.getmany(timeout_ms=200)
                found += [record for records in batches.values() for record in records]
            return found
        finally:
            await consumer.stop()

    async def facts(self, topic: Topic[Event], **wanted: object) -> list[Event]:
        """Facts of a topic whose fields have these values; the topics belong to every test of the session."""
        found: list[Event] = []
        for record in await self.records(topic.name):
            try:
                event = topic.event.model_validate_json(record.value or b"")
            except ValueError:
                continue
            if all(getattr(event, name) == value for name, value in wanted.items()):
                found.append(event)
        return found


@pytest_asyncio.fixture(loop_scope="session")
async def cluster(kafka_bootstrap: str) -> Cluster:
    await create_missing_topics(kafka_bootstrap, replication=1)
    return Cluster(kafka_bootstrap)


@asynccontextmanager
async def running(env: dict[str, str], log: Path) -> AsyncGenerator[asyncio.subprocess.Process]:
    """The service as a process, ready; killed without warning on leaving."""
    with log.open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "registry_svc.main", env=env, stdout=output, stderr=output
        )
    try:
        async with httpx.AsyncClient() as client:

            async def ready() -> bool:
                assert process.returncode is None, f"it ended: see {log}"
                try:
                    return (await client.get(f"http://127.0.0.1:{env['REGISTRY_PORT']}/ready")).status_code == 200
                except httpx.HTTPError:
                    return False

            await eventually(ready, timeout_s=PATIENCE_S)
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def traced(event: Event) -> KafkaRecord:
    """A record of a neighbour that continues our trace."""
    topic = JOB_FINISHED if event.__class__ is JOB_FINISHED.event else EXPERIMENT_CONCLUDED
    source = Party.TRAINER if topic is JOB_FINISHED else Party.FEEDBACK
    return a_record(event, envelope=seal(topic, source=source, cause=None, traceparent=TRACEPARENT))


@pytest.mark.timeout(600)
async def test_from_pack_to_promotion_over_kafka_with_a_kill_in_between(
    tracked_world, cluster, base_model, mlflow_uri, storage_uri, tmp_path
):
    world, task_id = tracked_world, tracked_world.task_id
    packs = tmp_path / "packs"
    packs.mkdir()
    (packs / "mood.yaml").write_text(yaml.safe_dump(world.pack().model_dump(mode="json")))
    candidate, champion = f"{task_id}:1", f"{base_model}:1"
    world.list_variants(candidate, champion)
    world.router.answers = lambda variant, _: f'{{"status": "{"alert" if variant == candidate else "normal"}"}}'
    world.router.delay_s = 0.1
    env = {
        "LOOPWRIGHT_DATABASE_URL": world.database.url,
        "LOOPWRIGHT_KAFKA_BOOTSTRAP": cluster.bootstrap,
        "LOOPWRIGHT_STORAGE_URI": storage_uri,
        "LOOPWRIGHT_MLFLOW_URI": mlflow_uri,
        "REGISTRY_PORT": str(free_ports(1)[0]),
        "REGISTRY_VLLM_URLS": json.dumps([world.vllm.url, world.second_vllm.url]),
        "REGISTRY_ROUTER_URL": world.router.url,
        "REGISTRY_TASKS_DIR": str(packs),
        "REGISTRY_ADAPTER_DIR": str(world.folder),
        "REGISTRY_BASE_MODELS": json.dumps({base_model: "/models/base"}),
        "REGISTRY_PACK_SCAN_S": "0.2",
        "REGISTRY_RECONCILE_S": "0.2",
        "REGISTRY_ALIAS_RECONCILE_S": "0.2",
        "REGISTRY_EVALUATION_CONCURRENCY": "2",
    }
    log = tmp_path / "registry.log"
    job = await world.a_finished_job(cases=20)
    finished = traced(job)
    malformed = a_raw_record(JOB_FINISHED, b"{", headers=list(traced(job).headers), key=job.job_id.encode())

    async with running(env, log) as process:
        await eventually(lambda: cluster.facts(TASK_DEFINED, task_id=task_id), timeout_s=PATIENCE_S)
        await eventually(lambda: cluster.facts(DEPLOYMENT_CHANGED, task_id=task_id), timeout_s=PATIENCE_S)
        await cluster.publish(malformed, finished, finished)

        async def asked() -> bool:
            return len(world.router.asked) >= 8

        await eventually(asked, timeout_s=PATIENCE_S)
        process.kill()

    world.vllm.restart()
    async with running(env, log):
        (evaluated,) = await eventually(lambda: cluster.facts(MODEL_EVALUATED, task_id=task_id), timeout_s=PATIENCE_S)
        assert evaluated.passed
        assert evaluated.candidate_score.cases == 20
        # answers that were on their way when it died are asked for again, no others
        assert 40 <= len(world.router.asked) <= 42
        conclusion = an_event(
            EXPERIMENT_CONCLUDED, task_id=task_id, champion_variant_id=champion, candidate_variant_id=candidate,
            winner_variant_id=candidate, experiment_id=f"exp-{task_id}",
        )  # fmt: skip
        await cluster.publish(traced(conclusion), traced(conclusion))

        async def promoted() -> list[Event]:
            changes = await cluster.facts(DEPLOYMENT_CHANGED, task_id=task_id)
            return [change for change in changes if change.champion.variant.variant_id == candidate]

        await eventually(promoted, timeout_s=PATIENCE_S)

        async def aliased() -> bool:
            return (await world.mlflow.everything()).aliases[task_id] == {"production": 1}

        await eventually(aliased, timeout_s=PATIENCE_S)
        assert f"{task_id}-v1" in world.vllm.adapters  # given back after its restart

        version_id = job.training_data.version_id
        erased = a_record(an_event(DATASET_DEPRECATED, version_id=version_id, task_id=task_id))
        await cluster.publish(erased, erased)
        (alert,) = await eventually(lambda: cluster.facts(ALERT_RAISED, task_id=task_id), timeout_s=PATIENCE_S)
        assert candidate in alert.detail

    changes = await cluster.facts(DEPLOYMENT_CHANGED, task_id=task_id)
    assert [change.revision for change in changes] == [1, 2, 3]
    assert len(await cluster.facts(MODEL_REGISTERED, model_name=task_id)) == 1
    assert len(await cluster.facts(ALERT_RAISED, task_id=task_id)) == 1
    assert len(await cluster.facts(MODEL_EVALUATED, task_id=task_id)) == 1
    letters = [record for record in await cluster.records(JOB_FINISHED.dead_letter_name) if record.value == b"{"]
    assert len(letters) == 1
    said = [
        record
        for topic in (MODEL_EVALUATED, DEPLOYMENT_CHANGED)
        for record in await cluster.records(topic.name)
        if task_id.encode() in (record.value or b"")
    ]
    traces = [dict(record.headers)["traceparent"].decode().split("-")[1] for record in said[:1] + said[2:]]
    assert traces == [TRACE_ID] * 3  # of the verdict, of the candidate and of the promotion

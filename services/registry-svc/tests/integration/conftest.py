"""A registry-svc in parts over real PostgreSQL, with small HTTP servers in the places of vLLM and the router.

MLflow is real in the tests that are about it (`tracked_world`), in memory elsewhere.
"""

import io
import json
import sys
import tarfile
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path

import pytest
import pytest_asyncio
import sqlalchemy as sa
from pydantic import JsonValue

sys.path.insert(0, str(Path(__file__).parent))  # tests share builders, and are no package

from stand_ins import BASE, FakeRouter, FakeVllm, MemoryMlflow

from loopwright.broker import Consumer, RetryPolicy
from loopwright.contracts.base import Artifact, Event
from loopwright.contracts.jobs import JobFinished
from loopwright.contracts.registry import EXPERIMENT_CONCLUDED, JOB_FINISHED, Party, Topic
from loopwright.database import Database
from loopwright.storage import Storage
from loopwright.testing.examples import an_event
from loopwright.testing.records import a_record
from loopwright.unit_of_work import PostgresWork
from registry_svc.adapters.adapter_files import AdapterFiles
from registry_svc.adapters.bare_models import BareModels
from registry_svc.adapters.judge import Judge
from registry_svc.adapters.metric_plugins import CustomMetric
from registry_svc.adapters.mlflow import MlflowRegistry
from registry_svc.adapters.router import RouterDoor
from registry_svc.adapters.router_figures import RouterFigures
from registry_svc.adapters.serving import Serving
from registry_svc.adapters.verification import Verifier
from registry_svc.adapters.vllm import VllmServers
from registry_svc.domain.packs import TaskPack, check_pack
from registry_svc.domain.proof import Policy
from registry_svc.events import events
from registry_svc.handlers.room import Means
from registry_svc.handlers.tampering import alarm
from registry_svc.handlers.tasks import change_task, declare_task
from registry_svc.jobs.asking import Instruments
from registry_svc.jobs.base_models import BaseModels
from registry_svc.jobs.evaluating import Evaluator
from registry_svc.jobs.examining import Examiner
from registry_svc.jobs.reconciling import MlflowReconciler
from registry_svc.jobs.registering import Registrar
from registry_svc.jobs.releases import ReleasePipeline
from registry_svc.jobs.requested import RequestedEvaluations
from registry_svc.jobs.serving import Pace, ServingReconciler
from registry_svc.jobs.watching import PromotionWatcher
from registry_svc.store.tables import messaging, metadata

SCHEMA = {"type": "object", "properties": {"status": {"enum": ["normal", "alert"]}}, "required": ["status"]}


class World:
    """Everything that a test of registry-svc touches."""

    def __init__(self, database: Database, *, storage_uri: str, mlflow: MlflowRegistry, folder: Path) -> None:
        self.database = database
        self.work = PostgresWork(database, Party.REGISTRY)
        self.storage = Storage(storage_uri)
        self.mlflow = mlflow
        self.vllm, self.second_vllm, self.router = FakeVllm(), FakeVllm(), FakeRouter()
        self.folder = folder
        self.grace_s = 0.0
        self.stopped: list[BaseException] = []
        self.task_id = f"mood-{uuid.uuid4().hex[:8]}"
        self.judge: Judge | None = None
        self.custom_metrics: tuple[CustomMetric, ...] = ()
        self.verifier = Verifier(Policy.OFF)

    def connect(self) -> None:
        """Builds what talks to the servers; call it again for a process that has just started."""
        urls = (self.vllm.url, self.second_vllm.url)
        self.servers = VllmServers(urls, timeout_s=5)
        self.files = AdapterFiles(self.storage, self.folder, verifier=self.verifier, alarm=alarm(self.work))
        self.serving = Serving(self.files, self.servers)
        self.door = RouterDoor(self.router.url, timeout_s=5)
        self.instruments = Instruments(
            router=self.door, bare_models=BareModels(timeout_s=5), judge=self.judge, custom_metrics=self.custom_metrics,
            concurrency=8,
        )  # fmt: skip
        examiner = Examiner(self.work, storage=self.storage, instruments=self.instruments)
        evaluator = Evaluator(self.work, storage=self.storage, examiner=examiner)
        self.requested = RequestedEvaluations(self.work, storage=self.storage, examiner=examiner)
        self.figures = RouterFigures((self.router.url,))
        self.means = Means(work=self.work, serving=self.serving, figures=self.figures)
        self.pipeline = ReleasePipeline(self.means, mlflow=self.mlflow, evaluator=evaluator)
        self.base_models = BaseModels(
            self.work, mlflow=self.mlflow, servers=self.servers, folders={BASE: Path("/models/base")}
        )
        self.restoring = ServingReconciler(
            self.work, serving=self.serving, figures=self.figures, pace=Pace(grace_s=self.grace_s, probe_s=3600)
        )
        self.watcher = PromotionWatcher(self.means)
        self.registrar = Registrar(self.work, mlflow=self.mlflow, files=self.files)
        self.agreeing = MlflowReconciler(
            self.work, mlflow=self.mlflow, files=self.files, base_models={BASE: Path("/models/base")}
        )

    async def start(self) -> None:
        for server in (self.vllm, self.second_vllm, self.router):
            await server.start()
        self.connect()

    async def reconnect(self) -> None:
        """As `connect`, after closing what there was."""
        await self.servers.close()
        await self.instruments.close()
        await self.figures.close()
        self.connect()

    async def stop(self) -> None:
        await self.servers.close()
        await self.instruments.close()
        await self.figures.close()
        for server in (self.vllm, self.second_vllm, self.router):
            await server.stop()
        await self.database.close()

    def pack(self, **changes: JsonValue) -> TaskPack:
        declared: dict[str, JsonValue] = {
            "task_id": self.task_id,
            "title": "Mood",
            "base_model": BASE,
            "prompt": {"system": "", "user": "{input}"},
            "answer_schema": SCHEMA,
            "answer_field": "status",
            "generation": {"temperature": 0.25, "max_tokens": 16},
            "success_metric": {"name": "stars", "kind": "stars"},
            "gate": {"min_cases": 4, "min_accuracy_0_1": 0.75, "max_regression_0_1": 0.0},
        }
        return check_pack(declared | changes, base_models={BASE})

    async def declare(self, **changes: JsonValue) -> None:
        async with self.work() as unit:
            await declare_task(self.pack(**changes), unit, by="test")

    async def redeclare(self, **changes: JsonValue) -> None:
        """The next version of the task."""
        async with self.work() as unit:
            await change_task(self.pack(**changes), unit, by="test", seen_version=1)

    async def declare_and_serve(self, **changes: JsonValue) -> None:
        """A task with its base model in charge."""
        await self.declare(**changes)
        await self.base_models.step()

    async def an_adapter(self, files: dict[str, bytes] | None = None) -> Artifact:
        contents = files or {"adapter_config.json": b"{}", "adapter_model.safetensors": uuid.uuid4().bytes}
        return await self.storage.put_bytes(
            tar_of(contents), kind="adapters", suffix=".tar", media_type="application/x-tar"
        )

    def tar(self, files: dict[str, bytes]) -> bytes:
        return tar_of(files)

    async def held_out(self, count: int) -> Artifact:
        lines = [
            {
                "sample_id": f"s{number}",
                "task_id": self.task_id,
                "input": f"line {number}",
                "messages": [
                    {"role": "user", "content": f"line {number}"},
                    {"role": "assistant", "content": '{"status": "alert"}'},
                ],
                "source": "rating",
            }
            for number in range(1, count + 1)
        ]
        content = "\n".join(json.dumps(line) for line in lines).encode()
        return await self.storage.put_bytes(content, kind="splits", suffix=".jsonl", media_type="application/jsonl")

    async def a_finished_job(
        self, *, cases: int = 8, held_out: Artifact | None = None, **changes: JsonValue
    ) -> JobFinished:
        held_out = held_out or await self.held_out(cases)
        split = {"artifact": held_out.model_dump(mode="json"), "samples": cases}
        standard: dict[str, JsonValue] = {
            "job_id": f"job-{uuid.uuid4().hex[:8]}",
            "task_id": self.task_id,
            "base_model": BASE,
            "adapter": (await self.an_adapter()).model_dump(mode="json"),
            "mlflow_run_id": None,
            "training_data": {
                "dataset_id": "d1", "version_id": "d1v1", "train": split, "validation": split, "held_out": split,
            },
        }  # fmt: skip
        return an_event(JOB_FINISHED, **(standard | changes))

    async def handle(self, event: Event, *, offset: int = 0) -> None:
        """Brings an event through the consumer, as Kafka would."""
        await self.consume(a_record(event, offset=offset))

    async def consume(self, record: object) -> None:
        consumer = self.consumer()
        for subscription in events.subscriptions:
            if subscription.topic.name == record.topic:  # type: ignore[attr-defined]
                await consumer.consume_record(subscription, record)  # type: ignore[arg-type]

    def consumer(self) -> Consumer:
        policy = RetryPolicy(attempts=2, first_delay_s=0.01)
        return Consumer(Party.REGISTRY, self.database, policy=policy, on_stop=self.stopped.append)

    async def release_job(self, event: JobFinished) -> None:
        """Brings a job as far as it goes without waiting for anybody."""
        await self.handle(event)
        while await self.pipeline.step():
            pass

    async def announced(self, topic: Topic[Event]) -> list[Event]:
        """What was said on a topic, oldest first."""
        outbox = messaging.outbox
        query = sa.select(outbox.c.value).where(outbox.c.topic == topic.name).order_by(outbox.c.id)
        async with self.database.engine.connect() as connection:
            return [topic.event.model_validate_json(value) for value in await connection.scalars(query)]

    async def headers(self, topic_name: str) -> list[dict[str, str]]:
        outbox = messaging.outbox
        query = sa.select(outbox.c.headers).where(outbox.c.topic == topic_name).order_by(outbox.c.id)
        async with self.database.engine.connect() as connection:
            return [dict(pairs) for pairs in await connection.scalars(query)]

    async def rows(self, table: str, columns: str = "*") -> list[dict[str, object]]:
        async with self.database.engine.connect() as connection:
            result = await connection.execute(sa.text(f"SELECT {columns} FROM registry.{table}"))
            return [dict(row) for row in result.mappings()]

    def list_variants(self, *variants: str) -> None:
        """Lets the router know variants of the task."""
        self.router.models |= {f"{self.task_id}@{variant}" for variant in variants}


def tar_of(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


MigratedDatabase = Callable[[tuple[str, ...]], Awaitable[str]]


async def _world(make_database: MigratedDatabase, storage_uri: str, folder: Path, mlflow: MlflowRegistry) -> World:
    url = await make_database(("services/registry-svc",))
    world = World(Database(url, metadata, messaging), storage_uri=storage_uri, mlflow=mlflow, folder=folder)
    await world.start()
    return world


@pytest_asyncio.fixture(loop_scope="session")
async def world(migrated_database: MigratedDatabase, storage_uri: str, tmp_path: Path) -> AsyncGenerator[World]:
    """A registry-svc in parts, with an empty database and MLflow in memory."""
    world = await _world(migrated_database, storage_uri, tmp_path / "adapters", MemoryMlflow())
    yield world
    await world.stop()


@pytest_asyncio.fixture(loop_scope="session")
async def tracked_world(
    migrated_database: MigratedDatabase, storage_uri: str, tmp_path: Path, mlflow_uri: str
) -> AsyncGenerator[World]:
    """A world with the real MLflow."""
    world = await _world(migrated_database, storage_uri, tmp_path / "adapters", MlflowRegistry(mlflow_uri))
    yield world
    await world.stop()


@pytest.fixture
def memory_mlflow() -> MlflowRegistry:
    return MemoryMlflow()


@pytest.fixture
def base_model() -> str:
    return BASE


@pytest_asyncio.fixture(loop_scope="session")
async def promoted(world, base_model):
    """A world whose first adapter is in charge, at revision 3."""
    await world.declare_and_serve()
    candidate, champion = f"{world.task_id}:1", f"{base_model}:1"
    world.list_variants(candidate, champion)
    world.router.answers = lambda variant, _: f'{{"status": "{"alert" if variant == candidate else "normal"}"}}'
    await world.release_job(await world.a_finished_job())
    conclusion = {"candidate_variant_id": candidate, "champion_variant_id": champion, "winner_variant_id": candidate}
    await world.handle(an_event(EXPERIMENT_CONCLUDED, task_id=world.task_id, **conclusion))
    return world

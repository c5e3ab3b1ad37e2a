"""A registry-svc in parts over real PostgreSQL, with small HTTP servers in the places of vLLM and the router.

The two servers behave like the documented APIs that registry-svc uses: vLLM's model list and run-time adapters
(refusing a name that is loaded, a folder without an adapter, an unknown name to unload), and the router's model list
and chat completions. MLflow is real in the tests that are about it (`tracked_world`), in memory elsewhere.
"""

import asyncio
import io
import json
import tarfile
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path

import pytest
import pytest_asyncio
import sqlalchemy as sa
from aiohttp import web
from aiohttp.test_utils import TestServer
from pydantic import JsonValue

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
from registry_svc.adapters.mlflow import MlflowRegistry, Registration, TrackedVersion
from registry_svc.adapters.router import RouterDoor
from registry_svc.adapters.serving import Serving
from registry_svc.adapters.vllm import VllmServers
from registry_svc.domain.packs import TaskPack, check_pack
from registry_svc.events import events
from registry_svc.handlers.tasks import declare_task
from registry_svc.jobs.base_models import BaseModels
from registry_svc.jobs.evaluating import Evaluator
from registry_svc.jobs.reconciling import AliasReconciler, ServingReconciler
from registry_svc.jobs.releases import ReleasePipeline
from registry_svc.store.tables import messaging, metadata

BASE = "tiny-base"
SCHEMA = {"type": "object", "properties": {"status": {"enum": ["normal", "alert"]}}, "required": ["status"]}


class FakeVllm:
    """vLLM's model list and run-time adapters."""

    def __init__(self, base_model: str = BASE) -> None:
        self.base_model = base_model
        self.adapters: dict[str, str] = {}
        self.loads = 0
        self.broken: str | None = None
        app = web.Application()
        app.router.add_get("/v1/models", self._models)
        app.router.add_post("/v1/load_lora_adapter", self._load)
        app.router.add_post("/v1/unload_lora_adapter", self._unload)
        self._server = TestServer(app)

    async def start(self) -> None:
        await self._server.start_server()

    async def stop(self) -> None:
        await self._server.close()

    @property
    def url(self) -> str:
        return str(self._server.make_url("")).rstrip("/")

    def restart(self) -> None:
        """A restarted vLLM has forgotten its adapters."""
        self.adapters.clear()

    async def _models(self, _: web.Request) -> web.Response:
        cards = [{"id": self.base_model, "root": "/models/base", "parent": None}]
        cards += [{"id": name, "root": root, "parent": self.base_model} for name, root in self.adapters.items()]
        return web.json_response({"object": "list", "data": cards})

    async def _load(self, request: web.Request) -> web.Response:
        body = await request.json()
        name, folder = body["lora_name"], Path(body["lora_path"])
        if self.broken is not None:
            return _refusal(500, "InternalServerError", self.broken)
        if name in self.adapters:
            return _refusal(400, "InvalidUserInput", f"The lora adapter '{name}' has already been loaded.")
        if not (folder / "adapter_config.json").exists():
            return _refusal(404, "NotFoundError", f"Loading lora {name} failed: No adapter found for {folder}")
        self.adapters[name] = str(folder)
        self.loads += 1
        return web.Response(text=f"Success: LoRA adapter '{name}' added successfully.")

    async def _unload(self, request: web.Request) -> web.Response:
        name = (await request.json())["lora_name"]
        if name not in self.adapters:
            return _refusal(404, "NotFoundError", f"The lora adapter '{name}' cannot be found.")
        del self.adapters[name]
        return web.Response(text=f"Success: LoRA adapter '{name}' removed successfully.")


def _refusal(status: int, kind: str, message: str) -> web.Response:
    return web.json_response({"error": {"message": message, "type": kind, "code": status}}, status=status)


class FakeRouter:
    """The router's model list and chat completions. `answers` maps a variant and an input to an answer."""

    def __init__(self) -> None:
        self.models: set[str] = set()
        self.answers: Callable[[str, str], str] = lambda _variant, _text: '{"status": "normal"}'
        self.asked: list[tuple[str, str]] = []
        self.temperatures: set[float] = set()
        self.fails_after: int | None = None
        self.refuses: set[str] = set()
        self.served_by: str | None = None
        self.delay_s = 0.0
        app = web.Application()
        app.router.add_get("/v1/models", self._models)
        app.router.add_post("/v1/chat/completions", self._complete)
        self._server = TestServer(app)

    async def start(self) -> None:
        await self._server.start_server()

    async def stop(self) -> None:
        await self._server.close()

    @property
    def url(self) -> str:
        return str(self._server.make_url("")).rstrip("/")

    async def _models(self, _: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [{"id": name} for name in sorted(self.models)]})

    async def _complete(self, request: web.Request) -> web.Response:
        body = await request.json()
        _, _, variant = body["model"].partition("@")
        text = body["messages"][-1]["content"]
        if body["model"] not in self.models:
            return _refusal(404, "invalid_request_error", "no such model")
        if self.fails_after is not None and len(self.asked) >= self.fails_after:
            return _refusal(503, "server_error", "no backend answers")
        if text in self.refuses:
            return _refusal(400, "invalid_request_error", "too long")
        await asyncio.sleep(self.delay_s)
        self.asked.append((variant, text))
        self.temperatures.add(body["temperature"])
        choice = {"index": 0, "message": {"role": "assistant", "content": self.answers(variant, text)}}
        headers = {
            "x-loopwright-inference-id": f"inf-{len(self.asked)}",
            "x-loopwright-variant": self.served_by or variant,
        }
        return web.json_response({"id": "x", "choices": [choice]}, headers=headers)


class MemoryMlflow(MlflowRegistry):
    """What MlflowRegistry promises, without a server; it passes the tests of the real one (test_mlflow.py)."""

    def __init__(self) -> None:
        self._subjects: dict[tuple[str, str], TrackedVersion] = {}
        self._aliases: dict[str, dict[str, int]] = {}

    async def register(self, registration: Registration) -> TrackedVersion:
        known = [key for key in self._subjects if key[0] == registration.name]
        self._aliases.setdefault(registration.name, {})
        new = TrackedVersion(version=len(known) + 1, run_id=registration.run_id or uuid.uuid4().hex)
        return self._subjects.setdefault((registration.name, registration.subject), new)

    async def aliases(self, name: str) -> dict[str, int] | None:
        return dict(self._aliases[name]) if name in self._aliases else None

    async def set_alias(self, name: str, alias: str, *, version: int) -> None:
        self._aliases[name][alias] = version

    async def delete_alias(self, name: str, alias: str) -> None:
        del self._aliases[name][alias]


class World:
    """Everything that a test of registry-svc touches."""

    def __init__(self, database: Database, *, storage_uri: str, mlflow: MlflowRegistry, folder: Path) -> None:
        self.database = database
        self.work = PostgresWork(database, Party.REGISTRY)
        self.storage = Storage(storage_uri)
        self.mlflow = mlflow
        self.vllm, self.second_vllm, self.router = FakeVllm(), FakeVllm(), FakeRouter()
        self.folder = folder
        self.stopped: list[BaseException] = []
        self.task_id = f"mood-{uuid.uuid4().hex[:8]}"

    def connect(self) -> None:
        """Builds what talks to the servers; call it again for a process that has just started."""
        urls = (self.vllm.url, self.second_vllm.url)
        self.servers = VllmServers(urls, timeout_s=5)
        self.serving = Serving(AdapterFiles(self.storage, self.folder), self.servers)
        self.door = RouterDoor(self.router.url, timeout_s=5)
        evaluator = Evaluator(self.work, storage=self.storage, router=self.door, concurrency=8)
        self.pipeline = ReleasePipeline(self.work, mlflow=self.mlflow, serving=self.serving, evaluator=evaluator)
        self.base_models = BaseModels(
            self.work, mlflow=self.mlflow, servers=self.servers, folders={BASE: Path("/models/base")}
        )
        self.restoring = ServingReconciler(self.work, serving=self.serving)
        self.aliasing = AliasReconciler(self.work, mlflow=self.mlflow)

    async def start(self) -> None:
        for server in (self.vllm, self.second_vllm, self.router):
            await server.start()
        self.connect()

    async def reconnect(self) -> None:
        """As `connect`, after closing what there was."""
        await self.servers.close()
        await self.door.close()
        self.connect()

    async def stop(self) -> None:
        await self.servers.close()
        await self.door.close()
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

    async def declare_and_serve(self, **changes: JsonValue) -> None:
        """A task with its base model in charge."""
        await self.declare(**changes)
        await self.base_models.step()

    async def an_adapter(self, files: dict[str, bytes] | None = None) -> Artifact:
        contents = files or {"adapter_config.json": b"{}", "adapter_model.safetensors": uuid.uuid4().bytes}
        return await self.storage.put_bytes(
            tar_of(contents), kind="adapters", suffix=".tar", media_type="application/x-tar"
        )

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

"""A real router on real Kafka, in front of a model server that speaks the OpenAI API over real HTTP."""

import asyncio
import json
import os
import sys
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from aiohttp import web
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from openai import AsyncOpenAI
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

from loopwright.broker import KafkaRecord
from loopwright.contracts.base import Event
from loopwright.contracts.registry import (
    DEPLOYMENT_CHANGED,
    EXPERIMENT_CHANGED,
    INFERENCE_COMPLETED,
    INFERENCE_RATED,
    TASK_DEFINED,
    Topic,
)
from loopwright.settings import CommonSettings
from loopwright.testing.examples import an_event, example_payload
from loopwright.testing.records import a_record
from loopwright.testing.tokens import AUDIENCE, ISSUER, TokenMint
from loopwright.testing.waiting import eventually
from loopwright.topics import create_missing_topics
from loopwright_local.settings import free_ports
from router_svc.main import build
from router_svc.settings import Settings

CHAMPION, CANDIDATE = "base-model:1", "tuned-model:1"


@dataclass
class Behaviour:
    """How one served model answers."""

    words: tuple[str, ...] = ("hel", "lo")
    status: int = 200
    wait_s: float = 0
    gap_s: float = 0
    drop_after: int | None = None  # chunks of the answer after which the connection is cut
    tells_usage: bool = True


@dataclass
class Asked:
    """One request that a model server saw."""

    path: str
    body: dict
    headers: dict[str, str]
    cancelled: bool = False


@dataclass
class ModelServer:
    """OpenAI-compatible server inside the test."""

    url: str = ""
    behaviours: dict[str, Behaviour] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)

    def on(self, model: str, **behaviour: object) -> None:
        self.behaviours[model] = Behaviour(**behaviour)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        asked = Asked(path=request.path, body=body, headers=dict(request.headers))
        self.asked.append(asked)
        behaviour = self.behaviours.get(body["model"], Behaviour())
        try:
            await asyncio.sleep(behaviour.wait_s)
            if behaviour.status != 200:
                return web.json_response(
                    {"error": {"message": "no", "code": behaviour.status}}, status=behaviour.status
                )
            if body.get("stream"):
                return await self._stream(request, body, behaviour)
            if behaviour.drop_after is not None:
                request.transport.abort()
            return web.json_response(_whole(request.path, body, behaviour))
        except asyncio.CancelledError:
            asked.cancelled = True
            raise

    async def _stream(self, request: web.Request, body: dict, behaviour: Behaviour) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
        await response.prepare(request)
        for number, chunk in enumerate(_chunks(request.path, body, behaviour)):
            if number == behaviour.drop_after:
                request.transport.abort()
                return response
            await response.write(b"data: " + chunk + b"\n\n")
            await asyncio.sleep(behaviour.gap_s)
        return response


def _choice(path: str, text: str, *, streamed: bool) -> dict:
    if path == "/v1/completions":
        return {"index": 0, "text": text}
    return {"index": 0, ("delta" if streamed else "message"): {"role": "assistant", "content": text}}


def _whole(path: str, body: dict, behaviour: Behaviour) -> dict:
    kind = "text_completion" if path == "/v1/completions" else "chat.completion"
    choice = _choice(path, "".join(behaviour.words), streamed=False) | {"finish_reason": "stop"}
    return {
        "id": "upstream-1", "object": kind, "created": 1, "model": body["model"], "choices": [choice],
        "usage": {"prompt_tokens": 7, "completion_tokens": len(behaviour.words), "total_tokens": 9},
    }  # fmt: skip


def _chunks(path: str, body: dict, behaviour: Behaviour) -> list[bytes]:
    kind = "text_completion" if path == "/v1/completions" else "chat.completion.chunk"
    head = {"id": "upstream-1", "object": kind, "created": 1, "model": body["model"]}
    choices = [_choice(path, word, streamed=True) | {"finish_reason": None} for word in behaviour.words]
    choices.append(_choice(path, "", streamed=True) | {"finish_reason": "stop"})
    chunks: list[dict] = [head | {"choices": [choice]} for choice in choices]
    if behaviour.tells_usage and body.get("stream_options", {}).get("include_usage"):
        usage = {"prompt_tokens": 7, "completion_tokens": len(behaviour.words), "total_tokens": 9}
        chunks.append(head | {"choices": [], "usage": usage})
    return [json.dumps(chunk).encode() for chunk in chunks] + [b"[DONE]"]


@pytest_asyncio.fixture
async def start_model_server() -> AsyncGenerator[Callable[[], Awaitable[ModelServer]]]:
    runners: list[web.AppRunner] = []

    async def start() -> ModelServer:
        server = ModelServer()
        app = web.Application()
        app.router.add_post("/v1/{tail:.*}", server.answer)
        runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await runner.setup()
        runners.append(runner)
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        return server

    yield start
    for runner in runners:
        await runner.cleanup()


@pytest_asyncio.fixture
async def model_server(start_model_server) -> ModelServer:
    return await start_model_server()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def bootstrap(kafka_bootstrap: str) -> str:
    """Kafka with every topic."""
    await create_missing_topics(kafka_bootstrap, replication=1)
    return kafka_bootstrap


@dataclass
class Log:
    """Writes and reads Kafka as the other services do."""

    bootstrap: str

    async def write(self, *records: KafkaRecord) -> None:
        async with AIOKafkaProducer(bootstrap_servers=self.bootstrap) as producer:
            for record in records:
                headers = list(record.headers)
                await producer.send_and_wait(record.topic, value=record.value, key=record.key, headers=headers)

    async def announce(self, *events: Event) -> None:
        await self.write(*(a_record(event) for event in events))

    async def read(self, topic_name: str, wanted: Callable[[KafkaRecord], bool]) -> list[KafkaRecord]:
        """Everything on a topic that is wanted, as it stands now."""
        found: list[KafkaRecord] = []
        async with AIOKafkaConsumer(
            topic_name, bootstrap_servers=self.bootstrap, auto_offset_reset="earliest"
        ) as reader:
            ends = await reader.end_offsets(reader.assignment())
            for partition, end in ends.items():
                while await reader.position(partition) < end:
                    for records in (await reader.getmany(timeout_ms=200)).values():
                        found += [record for record in records if wanted(record)]
        return found

    async def events(self, topic: Topic, task_id: str, *, count: int = 1) -> list[KafkaRecord]:
        """Waits for at least `count` events of a task."""

        async def look() -> list[KafkaRecord] | None:
            found = await self.read(topic.name, lambda record: json.loads(record.value)["task_id"] == task_id)
            return found if len(found) >= count else None

        return await eventually(look)

    async def completed(self, task_id: str) -> dict:
        """The one inference.completed of a task."""
        (record,) = await self.events(INFERENCE_COMPLETED, task_id)
        return json.loads(record.value)

    async def rated(self, task_id: str) -> dict:
        (record,) = await self.events(INFERENCE_RATED, task_id)
        return json.loads(record.value)


@pytest.fixture
def log(bootstrap: str) -> Log:
    return Log(bootstrap)


def deployed(variant_id: str, served_name: str, urls: list[str]) -> dict:
    payload = example_payload(DEPLOYMENT_CHANGED)["champion"]
    assert isinstance(payload, dict)
    variant = payload["variant"] | {"variant_id": variant_id, "served_name": served_name}
    return {"variant": variant, "backend_urls": urls}


@dataclass
class TaskOfTest:
    """A task of one test alone, as registry-svc and feedback-svc announce it."""

    log: Log
    task_id: str = field(default_factory=lambda: f"task-{uuid.uuid4().hex[:12]}")
    revision: int = 0

    async def define(self, url: str, **changes: object) -> None:
        await self.log.announce(an_event(TASK_DEFINED, task_id=self.task_id, **changes))
        await self.deploy([url], [url])

    async def deploy(self, champion_urls: list[str], candidate_urls: list[str]) -> None:
        self.revision += 1
        candidates = [deployed(CANDIDATE, "tuned", candidate_urls)] if candidate_urls else []
        champion = deployed(CHAMPION, "base", champion_urls)
        await self.log.announce(
            an_event(
                DEPLOYMENT_CHANGED, task_id=self.task_id, revision=self.revision, champion=champion,
                candidates=candidates,
            )
        )  # fmt: skip

    async def experiment(self, weight: float, **changes: object) -> str:
        experiment_id = f"exp-{self.task_id}"
        arms = {
            "champion": {"variant_id": CHAMPION, "weight_0_1": 1 - weight},
            "candidate": {"variant_id": CANDIDATE, "weight_0_1": weight},
        }
        fields = {"experiment_id": experiment_id, "task_id": self.task_id, "salt": experiment_id} | arms | changes
        await self.log.announce(an_event(EXPERIMENT_CHANGED, **fields))
        return experiment_id


@pytest_asyncio.fixture
async def task(log: Log) -> TaskOfTest:
    return TaskOfTest(log)


@pytest.fixture
def make_task() -> Callable[[str], TaskOfTest]:
    """Function that makes a task on another broker."""
    return lambda bootstrap: TaskOfTest(Log(bootstrap))


@dataclass
class Router:
    """A running router."""

    url: str
    stop: Callable[[], Awaitable[None]]

    @property
    def openai(self) -> AsyncOpenAI:
        return AsyncOpenAI(base_url=f"{self.url}/v1", api_key="unused", max_retries=0)

    @property
    def http(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=self.url, timeout=20)

    async def ready(self) -> None:
        await eventually(self._is_ready)

    async def _is_ready(self) -> bool:
        async with self.http as http:
            return (await http.get("/ready")).status_code == 200

    async def knows(self, model: str) -> None:
        """Waits until the router has read what was announced."""

        async def look() -> bool:
            async with self.http as http:
                return (await http.get(f"/v1/models/{model}")).status_code == 200

        await eventually(look)

    async def complete(self, model: str, text: str = "disk failed", **fields: object):
        async with self.openai as client:
            messages = [{"role": "user", "content": text}]
            return await client.chat.completions.create(model=model, messages=messages, **fields)


@pytest.fixture(scope="session")
def mint() -> TokenMint:
    return TokenMint()


@pytest.fixture(scope="session", autouse=True)
def tracing() -> None:
    trace.set_tracer_provider(TracerProvider())


@pytest.fixture
def spool_dir(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "signing.key"
    path.write_bytes(b"k" * 32)
    return path


@pytest_asyncio.fixture
async def start_router(request, tmp_path: Path, key_file: Path, spool_dir: Path, mint: TokenMint):
    """Function that starts a router inside the test, on a broker, with some settings changed."""
    running: list[Router] = []
    jwks = tmp_path / "jwks.json"
    jwks.write_text(mint.jwks)

    async def start(bootstrap: str, **changes: object) -> Router:
        shared = {name: changes.pop(name) for name in tuple(changes) if name in CommonSettings.model_fields}
        common = CommonSettings(
            kafka_bootstrap=bootstrap, auth_jwks_file=jwks, auth_issuer=ISSUER, auth_audience=AUDIENCE, **shared
        )
        defaults = {"auth": "optional", "drain_s": 0}
        settings = Settings(signing_key_file=key_file, spool_dir=spool_dir, **(defaults | changes))
        server = build(common, settings).make_server(port=0)
        serving = asyncio.create_task(server._serve())
        await eventually(lambda: asyncio.sleep(0, server.started))
        port = server.servers[0].sockets[0].getsockname()[1]

        async def stop() -> None:
            server.should_exit = True
            await serving

        running.append(Router(f"http://127.0.0.1:{port}", stop))
        return running[-1]

    yield start
    for router in running:
        with suppress(asyncio.CancelledError):
            await router.stop()


@asynccontextmanager
async def _router_process(
    bootstrap: str, spool_dir: Path, key_file: Path, **settings: str
) -> AsyncGenerator[tuple[str, int]]:
    """A router in a process of its own: its URL and process id; killed at the end."""
    (port,) = free_ports(1)
    env = (
        os.environ  # noqa: TID251 - the process under test inherits the path
        | {
            "LOOPWRIGHT_KAFKA_BOOTSTRAP": bootstrap,
            "ROUTER_PORT": str(port),
            "ROUTER_SPOOL_DIR": str(spool_dir),
            "ROUTER_SPOOL_SEGMENT_BYTES": "65536",
            "ROUTER_SIGNING_KEY_FILE": str(key_file),
            "ROUTER_AUTH": "optional",
        }
        | settings
    )
    with (spool_dir.parent / "router.log").open("ab") as out:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "router_svc.main", env=env, stdout=out, stderr=out
        )
    try:
        url = f"http://127.0.0.1:{port}"
        await eventually(lambda: _answers(url))
        yield url, process.pid
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _answers(url: str) -> bool:
    async with httpx.AsyncClient() as http:
        try:
            return (await http.get(f"{url}/ready")).status_code == 200
        except httpx.TransportError:
            return False


@pytest.fixture
def router_process(bootstrap: str, spool_dir: Path, key_file: Path):
    """Function that runs a router in a process of its own for a block, with some settings changed: URL and process id."""
    return partial(_router_process, bootstrap, spool_dir, key_file)


@pytest_asyncio.fixture
async def router(start_router, bootstrap: str) -> Router:
    router = await start_router(bootstrap)
    await router.ready()
    return router

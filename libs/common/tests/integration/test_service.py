"""How a service lives: what it says of itself while parts are away, and how its process ends."""

import asyncio
import json
import signal
import socket
import sys
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from fastapi import APIRouter
from pydantic import BaseModel

from loopwright.broker import EventRouter
from loopwright.contracts.base import Event
from loopwright.contracts.envelope import Received
from loopwright.contracts.registry import LOG_RECEIVED, USER_ERASED, Party, Topic
from loopwright.problems import MEDIA_TYPE
from loopwright.service import Service
from loopwright.settings import CommonSettings
from loopwright.testing.examples import an_event
from loopwright.testing.gate import Gate
from loopwright.testing.probe import Probe
from loopwright.testing.waiting import eventually
from loopwright.unit_of_work import Work
from loopwright_local.settings import free_ports

FreshTopic = Callable[[Topic[Event]], Awaitable[Topic[Event]]]


class Order(BaseModel):
    pieces: int


def a_service(probe: Probe, common: CommonSettings, *topics: Topic[Event]) -> Service:
    service = Service(Party.DATASET, common, database=probe.database)
    routes, events = APIRouter(), EventRouter()

    @routes.post("/orders/{number}")
    async def order(number: int, order: Order) -> int:
        return number * order.pieces

    for topic in topics:
        events.on(topic)(ignore)
    service.add_routes(routes)
    service.add_events(events)
    return service


async def ignore(_received: object, _work: object) -> None:
    pass


@pytest_asyncio.fixture
async def client(probe: Probe, common: CommonSettings, fresh_topic: FreshTopic) -> AsyncGenerator[httpx.AsyncClient]:
    service = a_service(probe, common, await fresh_topic(USER_ERASED))
    transport = httpx.ASGITransport(service.app)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(service.app.router.lifespan_context(service.app))
        yield await stack.enter_async_context(httpx.AsyncClient(transport=transport, base_url="http://service"))


async def ready(client: httpx.AsyncClient) -> bool:
    return (await client.get("/ready")).status_code == 200


class TestReadiness:
    async def test_is_ready_when_its_parts_answer(self, client: httpx.AsyncClient) -> None:
        await eventually(lambda: ready(client))
        assert (await client.get("/ready")).json() == {"ready": True, "parts": {"database": "ok", "kafka": "ok"}}

    async def test_says_which_part_is_away_and_comes_back_with_it(self, client: httpx.AsyncClient, gate: Gate) -> None:
        await eventually(lambda: ready(client))
        await gate.shut()
        answer = await client.get("/ready")
        assert answer.status_code == 503
        assert answer.json()["ready"] is False
        assert "Error" in answer.json()["parts"]["database"]
        assert answer.json()["parts"]["kafka"] == "ok"
        assert (await client.get("/health")).json() == {"service": "dataset-svc", "status": "alive"}

        await gate.open()
        await eventually(lambda: ready(client))

    async def test_waits_for_a_kafka_that_is_not_there_yet(self, probe: Probe, common: CommonSettings) -> None:
        away = common.model_copy(update={"kafka_bootstrap": f"127.0.0.1:{free_ports(1)[0]}"})
        service = a_service(probe, away, USER_ERASED)
        async with service.app.router.lifespan_context(service.app):
            transport = httpx.ASGITransport(service.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
                await eventually(lambda: parts_say(client, database="ok", kafka="ConnectionError: not consuming yet"))
                await asyncio.sleep(1.5)  # longer than one attempt: it must go on waiting, not give up
        assert service._failure is None

    async def test_waits_for_a_topic_that_is_not_there_yet(
        self, probe: Probe, common: CommonSettings, producer: AIOKafkaProducer, admin: AIOKafkaAdminClient
    ) -> None:
        topic = replace(LOG_RECEIVED, name=f"test{uuid.uuid4().hex[:10]}.later")
        service = Service(Party.DATASET, common, database=probe.database)
        events = EventRouter()

        @events.on(topic)
        async def handle(received: Received[Event], work: Work) -> None:
            await probe.act(work.session, received.event.type)

        service.add_events(events)
        async with service.app.router.lifespan_context(service.app):
            await asyncio.sleep(1)  # the first attempt fails meanwhile
            assert service._admin is None
            await admin.create_topics([NewTopic(topic.name, 1, 1), NewTopic(topic.dead_letter_name, 1, 1)])
            await producer.send_and_wait(topic.name, an_event(LOG_RECEIVED, type="late").model_dump_json().encode())
            await eventually(probe.effects, timeout_s=40)
            await admin.delete_topics([topic.name, topic.dead_letter_name])
        assert await probe.effects() == ["late"]


async def parts_say(client: httpx.AsyncClient, **parts: str) -> bool:
    return (await client.get("/ready")).json()["parts"] == parts


class TestAnswers:
    async def test_a_path_that_nobody_serves_is_a_problem(self, client: httpx.AsyncClient) -> None:
        answer = await client.get("/nowhere")
        assert (answer.status_code, answer.headers["content-type"]) == (404, MEDIA_TYPE)

    @pytest.mark.parametrize("content", [b"{", b'{"pieces": "many"}', b"[]"])
    async def test_a_malformed_body_is_a_problem(self, client: httpx.AsyncClient, content: bytes) -> None:
        answer = await client.post("/orders/1", content=content, headers={"content-type": "application/json"})
        assert (answer.status_code, answer.headers["content-type"]) == (422, MEDIA_TYPE)

    async def test_requests_are_counted_by_route_and_never_by_path(self, client: httpx.AsyncClient) -> None:
        for number in (17, 18):
            await client.post(f"/orders/{number}", json={"pieces": 2})
        await client.get("/orders-of-somebody")

        answer = await client.get("/metrics")
        assert answer.headers["content-type"].startswith("text/plain")
        line = 'loopwright_http_requests_total{method="POST",route="/orders/{number}",status="200"}'
        counted = [text for text in answer.text.splitlines() if text.startswith(line)]
        assert [float(text.rpartition(" ")[2]) >= 2 for text in counted] == [True]
        assert "orders-of-somebody" not in answer.text
        assert "loopwright_outbox_pending_records" in answer.text


PROGRAM = """
import asyncio, gc, sys
from fastapi import APIRouter
from loopwright.contracts.registry import Party
from loopwright.service import Service
from loopwright.settings import CommonSettings

service = Service(Party.ROUTER, CommonSettings(), database=None)
routes = APIRouter()
started = asyncio.Event()

@routes.get("/slow")
async def slow() -> str:
    started.set()
    await asyncio.sleep(1)
    return "done"

@routes.get("/set-aside")
async def set_aside() -> int:
    return gc.get_freeze_count()

@routes.get("/begun")
async def begun() -> bool:
    return started.is_set()

async def fail() -> None:
    await started.wait()
    raise ValueError("a bug")

async def end() -> None:
    await started.wait()

async def live() -> None:
    await asyncio.Event().wait()

service.add_routes(routes)
service.add_background("task", {{"fail": fail, "end": end, "live": live}}["{task}"])
service.run(port=int(sys.argv[1]))
"""


class Process:
    """A service in a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process, port: int) -> None:
        self.process = process
        self.url = f"http://127.0.0.1:{port}"

    async def lives(self) -> bool:
        async with httpx.AsyncClient() as client:
            try:
                return (await client.get(f"{self.url}/health")).status_code == 200
            except httpx.HTTPError:
                return False

    async def has_begun(self) -> bool:
        return (await self.ask("/begun")).json()

    async def ask(self, path: str) -> httpx.Response:
        async with httpx.AsyncClient(timeout=30) as client:
            return await client.get(f"{self.url}{path}")

    async def end(self) -> tuple[int, list[dict[str, object]]]:
        """Exit status and log lines."""
        output, _ = await asyncio.wait_for(self.process.communicate(), 90)
        return self.process.returncode, [json.loads(line) for line in output.splitlines()]


@pytest_asyncio.fixture
async def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[Callable[..., object]]:
    monkeypatch.setenv("LOOPWRIGHT_TRACE_DIR", str(tmp_path / "traces"))
    started: list[asyncio.subprocess.Process] = []

    async def run(task: str, *, port: int | None = None) -> Process:
        port = port or free_ports(1)[0]
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", PROGRAM.format(task=task), str(port), stdout=asyncio.subprocess.PIPE
        )
        started.append(process)
        return Process(process, port)

    yield run
    for process in started:
        if process.returncode is None:
            process.kill()
            await process.communicate()


Start = Callable[..., object]


class TestProcess:
    @pytest.mark.parametrize(("task", "reason"), [("fail", "ValueError('a bug')"), ("end", "task ended")])
    async def test_ends_with_1_when_a_background_task_fails_or_ends(self, start: Start, task: str, reason: str) -> None:
        service = await start(task)
        await eventually(service.lives, timeout_s=90)
        answer = await service.ask("/slow")
        code, lines = await service.end()

        assert answer.text == '"done"', "the request in progress is answered before the end"
        assert code == 1
        [failure] = [line for line in lines if line["event"] == "service.failed"]
        assert reason in failure["reason"]

    async def test_sets_aside_what_its_start_left_so_that_no_request_waits_while_that_is_looked_through(
        self, start: Start
    ) -> None:
        service = await start("live")
        await eventually(service.lives, timeout_s=90)
        assert (await service.ask("/set-aside")).json() > 10_000

    async def test_ends_with_an_error_when_its_port_is_taken(self, start: Start) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            service = await start("live", port=taken.getsockname()[1])
            code, _ = await service.end()
        assert code not in {0, None}

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    async def test_a_signal_ends_it_after_the_request_in_progress_and_keeps_its_spans(
        self, start: Start, tmp_path: Path, number: signal.Signals
    ) -> None:
        service = await start("live")
        await eventually(service.lives, timeout_s=90)
        asking = asyncio.create_task(service.ask("/slow"))
        await eventually(service.has_begun)
        service.process.send_signal(number)

        assert (await asking).text == '"done"'
        code, lines = await service.end()
        assert code == 0
        assert [line for line in lines if line["event"] == "service.failed"] == []
        assert "/slow" in (tmp_path / "traces" / "router-svc.jsonl").read_text()

"""A copy begins when the user's answer has gone, has limits of its own, and whatever becomes of it reaches nobody."""

import asyncio
import json
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import pytest
from pydantic import JsonValue

from loopwright.contracts.registry import DEPLOYMENT_CHANGED, EXPERIMENT_CHANGED, TASK_DEFINED
from loopwright.errors import PlatformError
from loopwright.testing.examples import an_event
from router_svc.adapters.board import Board
from router_svc.adapters.content_seals import ContentSeals
from router_svc.adapters.metrics import SHADOWS
from router_svc.adapters.spool import Spool, SpoolLimits
from router_svc.adapters.tracing import Tracing
from router_svc.adapters.upstream import Inquiry, Listener, Whole
from router_svc.domain.callers import Caller
from router_svc.domain.inference_ids import InferenceIds
from router_svc.domain.questions import Endpoint
from router_svc.handlers.answering import Answering, Ask
from router_svc.handlers.concealing import Concealer
from router_svc.handlers.serving import Limits, Nonces, Serving
from router_svc.handlers.updating import take_in

CHAMPION, CANDIDATE = "smollm2-135m-instruct:1", "log-anomaly:1"
BODY = b'{"id":"u","choices":[{"index":0,"message":{"content":"hi"},"finish_reason":"stop"}]}'


@dataclass
class UpstreamInMemory:
    """The champion answers at once; candidates keep whoever asks them waiting."""

    replies: list["ReplyInMemory"] = field(default_factory=list)
    waiting: list[Listener] = field(default_factory=list)
    asked_before_the_end: int = 0
    fault: Exception | None = None
    status: int = 200

    def call(self, inquiry: Inquiry, listener: Listener) -> object:
        if inquiry.target.variant_id == CHAMPION:
            whole = Whole(self.status, b"application/json", [], BODY)
            asyncio.get_running_loop().call_soon(listener.answered, whole)
        elif self.fault is not None:
            raise self.fault
        else:
            self.asked_before_the_end += not self.replies[-1].sent
            self.waiting.append(listener)
        return SimpleNamespace(close=lambda: None, sent_s=0.0)


@dataclass
class ReplyInMemory:
    sent: list[bytes] = field(default_factory=list)

    def whole(self, status: int, headers: bytes, body: bytes) -> None:
        self.sent.append(body)

    def refuse(self, error: PlatformError) -> None:
        self.sent.append(error.code.encode())


@dataclass
class World:
    """A router whose every request is copied."""

    answering: Answering
    upstream: UpstreamInMemory
    spool: Spool

    async def ask(self, text: str = "x", *, tenant: str | None = None) -> ReplyInMemory:
        body: JsonValue = {"model": "log-anomaly", "messages": [{"role": "user", "content": text}]}
        self.upstream.replies.append(reply := ReplyInMemory())
        ask = Ask(Endpoint.CHAT, json.dumps(body).encode(), {}, Caller("key", tenant=tenant), reply)
        ask.caller.enter(0)
        self.answering.arrive(ask)
        for _ in range(5):
            await asyncio.sleep(0)
        return reply

    def events(self) -> list[dict[str, JsonValue]]:
        return [json.loads(record.value or b"") for record in self.spool.read(100)[0]]


@pytest.fixture
def spool(tmp_path: Path):
    spool = Spool.claim(tmp_path, limits=SpoolLimits(segment_bytes=1 << 20, total_bytes=1 << 22))
    yield spool
    spool.close()


def a_world(spool: Spool, *, shadows: int = 2, shadow_bytes: int = 1 << 20) -> World:
    board = Board()
    arms: dict[str, JsonValue] = {
        "champion": {"variant_id": CHAMPION, "weight_0_1": 0},
        "candidate": {"variant_id": CANDIDATE, "weight_0_1": 1},
    }
    for event in (
        an_event(TASK_DEFINED, retrieval=None), an_event(DEPLOYMENT_CHANGED),
        an_event(EXPERIMENT_CHANGED, kind="shadow", **arms),
    ):  # fmt: skip
        take_in(board, event)
    board.loaded = True
    upstream = UpstreamInMemory()
    limits = Limits(copy_bytes=1 << 20, event_bytes=1 << 20, shadows=shadows, shadow_bytes=shadow_bytes)
    serving = Serving(
        board=board, ids=InferenceIds(b"k" * 32), upstream=upstream, spool=spool, limits=limits, nonces=Nonces(),
        tracing=Tracing(0.0), conceal=Concealer(ContentSeals(None)),
    )  # fmt: skip
    return World(Answering(serving), upstream, spool)


def counted(outcome: str) -> float:
    return SHADOWS.labels(outcome)._value.get()


async def test_the_copy_is_asked_after_the_last_byte_and_recorded_under_an_id_of_its_own(spool: Spool) -> None:
    world = a_world(spool)
    await world.ask(tenant="acme")
    (copy,) = world.upstream.waiting
    assert world.upstream.asked_before_the_end == 0
    copy.answered(Whole(200, b"application/json", [], BODY))
    await asyncio.sleep(0)
    shown, copied = world.events()
    assert (shown["shadow_of"], shown["experiment_id"]) == (None, None)
    assert (copied["shadow_of"], copied["experiment_id"]) == (shown["inference_id"], "exp-5d2a41")
    assert (copied["variant_id"], copied["tenant"], copied["arm"]) == (CANDIDATE, "acme", 1)
    assert copied["inference_id"] != shown["inference_id"]


async def test_what_is_too_many_or_too_large_is_dropped_and_counted_until_there_is_room(spool: Spool) -> None:
    world = a_world(spool, shadows=1)
    before = counted("dropped")
    for _ in range(3):
        await world.ask()
    assert (len(world.upstream.waiting), counted("dropped") - before) == (1, 2)
    world.upstream.waiting[0].answered(Whole(200, b"application/json", [], BODY))
    await asyncio.sleep(0)
    await world.ask()
    assert len(world.upstream.waiting) == 2


async def test_long_requests_are_copied_only_within_the_bytes_that_copies_may_take(spool: Spool) -> None:
    world = a_world(spool, shadows=100, shadow_bytes=20_000)
    for _ in range(5):
        await world.ask("x" * 8000)
    assert len(world.upstream.waiting) == 2


async def test_a_fault_of_the_copy_reaches_neither_this_user_nor_the_next_and_takes_no_room(spool: Spool) -> None:
    world = a_world(spool, shadows=1)
    world.upstream.fault = RuntimeError("no")
    before = counted("failed")
    replies = [await world.ask() for _ in range(2)]
    assert all(b'"hi"' in reply.sent[0] for reply in replies)
    assert counted("failed") - before == 2
    world.upstream.fault = None
    await world.ask()
    assert len(world.upstream.waiting) == 1


async def test_what_the_champion_refused_is_not_copied(spool: Spool) -> None:
    world = a_world(spool)
    world.upstream.status = 400
    await world.ask()
    assert world.upstream.waiting == []


async def test_at_the_end_copies_in_flight_are_left_and_recorded_as_such(spool: Spool) -> None:
    world = a_world(spool)
    await world.ask()
    world.answering._shadowing.close()
    await asyncio.sleep(0)
    assert [event["http_status"] for event in world.events()] == [200, 499]
    await world.ask()
    assert world.upstream.waiting[1:] == [], "no copy is begun any more"

"""What a client has seen the end of is on record already; what is acknowledged is on the platter."""

import asyncio
import json
import os
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest
from pydantic import JsonValue

from loopwright.contracts.envelope import Envelope
from loopwright.contracts.inferences import InferenceCompleted
from loopwright.contracts.registry import DEPLOYMENT_CHANGED, INFERENCE_COMPLETED, TASK_DEFINED
from loopwright.contracts.tasks import Retrieval
from loopwright.errors import PlatformError
from loopwright.testing.examples import an_event
from router_svc.adapters.board import Board
from router_svc.adapters.content_seals import ContentSeals
from router_svc.adapters.failures import BackendFailed, SpoolFull
from router_svc.adapters.spool import Spool, SpoolLimits
from router_svc.adapters.tracing import Tracing
from router_svc.adapters.upstream import Inquiry, Listener, Whole
from router_svc.domain.callers import Caller
from router_svc.domain.inference_ids import InferenceIds
from router_svc.domain.keys import KeyEntry
from router_svc.domain.questions import Endpoint
from router_svc.domain.retrieving import Passage
from router_svc.domain.shapes import Completed, Texts
from router_svc.handlers.answering import Answering, Ask, Gate
from router_svc.handlers.concealing import Concealer
from router_svc.handlers.enriching import Library
from router_svc.handlers.exchange import Exchange
from router_svc.handlers.rating import RatingDesk, RatingDraft, accept_ratings
from router_svc.handlers.recording import completed_record
from router_svc.handlers.serving import Limits, Nonces, Serving
from router_svc.handlers.updating import take_in

IDS = InferenceIds(b"k" * 32)
CHUNK = b'data: {"id":"u","choices":[{"index":0,"delta":{"content":"hi"},"finish_reason":"stop"}]}\n\n'
DONE = b"data: [DONE]\n\n"
BODY = b'{"id":"u","choices":[{"index":0,"message":{"content":"hi"},"finish_reason":"stop"}]}'
Story = Callable[[Listener], None]


@dataclass
class HeadInMemory:
    status: int = 200
    content_type: bytes = b"text/event-stream"
    extras: list[tuple[bytes, bytes]] = field(default_factory=list)


@dataclass
class CallInMemory:
    closed: bool = False
    sent_s: float = 0.0

    def close(self) -> None:
        self.closed = True

    def pause(self) -> None: ...
    def resume(self) -> None: ...


@dataclass
class UpstreamInMemory:
    """Tells a story to whoever asks."""

    story: Story
    call_made: CallInMemory = field(default_factory=CallInMemory)
    asked: list[Inquiry] = field(default_factory=list)

    def call(self, inquiry: Inquiry, listener: Listener) -> CallInMemory:
        self.asked.append(inquiry)
        asyncio.get_running_loop().call_soon(self.story, listener)
        return self.call_made

    def spawn(self, body: Coroutine[object, object, None]) -> None:
        self.spawned = asyncio.ensure_future(body)


class LibraryInMemory:
    async def similar(self, query: str, retrieval: Retrieval) -> list[Passage]:
        await asyncio.sleep(0.01)
        return [Passage(title="a like case", text=query, facts=(), score=1.0)]


@dataclass
class ReplyInMemory:
    """Notes what was sent, and how many events were on record at that moment."""

    spool: Spool
    sent: list[tuple[bytes, int]] = field(default_factory=list)
    error: PlatformError | None = None

    def whole(self, status: int, headers: bytes, body: bytes) -> None:
        self.sent.append((body, self.spool.pending))

    def start(self, status: int, headers: bytes) -> None: ...

    def write(self, chunk: bytes) -> None:
        self.sent.append((chunk, self.spool.pending))

    def end(self, chunk: bytes) -> None:
        self.sent.append((chunk, self.spool.pending))

    def refuse(self, error: PlatformError) -> None:
        self.sent.append((b"", self.spool.pending))
        self.error = error


def whole(listener: Listener) -> None:
    listener.answered(Whole(200, b"application/json", [], BODY))


def chunk(listener: Listener) -> None:
    listener.begun(HeadInMemory())  # pyright: ignore[reportArgumentType] - as much of a connection as is read
    listener.piece(CHUNK)


def stream(listener: Listener) -> None:
    chunk(listener)
    listener.piece(DONE)
    listener.ended()


def broken(listener: Listener) -> None:
    chunk(listener)
    listener.broken()


def failed(listener: Listener) -> None:
    listener.failed(BackendFailed("a", "b"))


@pytest.fixture
def spool(tmp_path: Path):
    spool = Spool.claim(tmp_path, limits=SpoolLimits(segment_bytes=1 << 20, total_bytes=1 << 20))
    yield spool
    spool.close()


def an_answering(
    spool: Spool, upstream: UpstreamInMemory, *, library: Library | None = None, **task: JsonValue
) -> Answering:
    board = Board()
    for event in (an_event(TASK_DEFINED, **task), an_event(DEPLOYMENT_CHANGED)):
        take_in(board, event)
    board.loaded = True
    serving = Serving(
        board=board, ids=IDS, upstream=upstream, spool=spool,  # pyright: ignore[reportArgumentType] - the part that is used
        limits=Limits(copy_bytes=1 << 20, event_bytes=1 << 20), nonces=Nonces(), tracing=Tracing(0.0),
        conceal=Concealer(ContentSeals(None)), library=library,
    )  # fmt: skip
    return Answering(serving)


def an_ask(reply: ReplyInMemory, *, model: str = "log-anomaly", caller: Caller | None = None) -> Ask:
    body = {"model": model, "messages": [{"role": "user", "content": "x"}], "stream": True}
    caller = caller or Caller("ada")
    caller.enter(time.time())
    return Ask(Endpoint.CHAT, json.dumps(body).encode(), {}, caller, reply)


async def begin(spool: Spool, story: Story) -> tuple[ReplyInMemory, Exchange, UpstreamInMemory]:
    upstream, reply = UpstreamInMemory(story), ReplyInMemory(spool)
    ask = an_ask(reply)
    an_answering(spool, upstream).arrive(ask)
    assert ask.exchange is not None
    return reply, ask.exchange, upstream


async def run(spool: Spool, story: Story) -> ReplyInMemory:
    reply, _, _ = await begin(spool, story)
    for _ in range(3):
        await asyncio.sleep(0)
    return reply


def recorded(spool: Spool) -> dict[str, object]:
    """The one event on record."""
    (record,), _ = spool.read(10)
    assert record.value is not None
    return json.loads(record.value)


class TestAnswers:
    async def test_the_whole_body_goes_out_after_its_event_was_recorded(self, spool: Spool) -> None:
        reply = await run(spool, whole)
        assert [pending for _, pending in reply.sent] == [1]

    async def test_the_end_of_a_stream_goes_out_after_its_event_was_recorded(self, spool: Spool) -> None:
        reply = await run(spool, stream)
        assert [pending for _, pending in reply.sent] == [0, 1]
        assert reply.sent[-1][0] == DONE

    async def test_a_stream_that_breaks_off_is_recorded_with_what_came(self, spool: Spool) -> None:
        await run(spool, broken)
        assert (recorded(spool)["http_status"], recorded(spool)["answer"]) == (502, "hi")

    async def test_a_client_that_leaves_stops_the_model_and_is_recorded_with_what_came(self, spool: Spool) -> None:
        reply, exchange, upstream = await begin(spool, chunk)
        await asyncio.sleep(0)
        exchange.abandon()
        assert upstream.call_made.closed, "at once, not some time later"
        await asyncio.sleep(0)
        assert (recorded(spool)["http_status"], recorded(spool)["answer"]) == (499, "hi")
        assert len(reply.sent) == 1

    async def test_a_request_that_nobody_answered_is_recorded_before_the_client_hears_it(self, spool: Spool) -> None:
        reply = await run(spool, failed)
        assert recorded(spool)["http_status"] == 503
        assert [pending for _, pending in reply.sent] == [1]
        assert isinstance(reply.error, BackendFailed)

    async def test_two_requests_of_nobody_are_two_units(self, spool: Spool) -> None:
        for _ in range(2):
            await run(spool, whole)
        records, _ = spool.read(10)
        events = [json.loads(record.value or b"") for record in records]
        assert len({event["unit_hash"] for event in events}) == 2
        assert len({event["inference_id"] for event in events}) == 2


class TestTurns:
    async def test_the_first_of_a_turn_is_asked_at_once_and_the_others_when_all_have_come(self, spool: Spool) -> None:
        upstream = UpstreamInMemory(whole)
        answering, replies = an_answering(spool, upstream), [ReplyInMemory(spool) for _ in range(3)]
        for reply in replies:
            answering.arrive(an_ask(reply))
        assert len(upstream.asked) == 1
        await asyncio.sleep(0)
        assert len(upstream.asked) == 3
        await asyncio.sleep(0.01)
        assert [len(reply.sent) for reply in replies] == [1, 1, 1]
        answering.arrive(an_ask(ReplyInMemory(spool)))
        assert len(upstream.asked) == 4, "another turn"

    async def test_who_is_refused_and_whom_we_fail_leave_the_others_of_their_turn_alone(
        self, spool: Spool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        hash_unit, calls = InferenceIds.hash_unit, iter(range(9))

        def fail_once(ids: InferenceIds, unit: str) -> str:
            return hash_unit(ids, unit) if next(calls) else str(1 / 0)

        monkeypatch.setattr(InferenceIds, "hash_unit", fail_once)
        caller = Caller("ada", key=KeyEntry(id="ada", sha256="0" * 64, concurrent=9))
        answering, replies = an_answering(spool, UpstreamInMemory(whole)), [ReplyInMemory(spool) for _ in range(4)]
        models = ("log-anomaly", "nothing", "log-anomaly", "log-anomaly")
        for reply, model in zip(replies, models, strict=True):
            answering.arrive(an_ask(reply, model=model, caller=caller))
        await asyncio.sleep(0.01)
        codes = [None if reply.error is None else reply.error.code for reply in replies]
        assert codes == ["internal", "router.unknown-model", None, None]
        assert caller._in_flight == 0
        assert spool.pending == 2

    async def test_who_leaves_in_the_turn_of_his_coming_is_asked_of_no_model(self, spool: Spool) -> None:
        upstream = UpstreamInMemory(whole)
        answering, caller = an_answering(spool, upstream), Caller("ada")
        answering.arrive(an_ask(ReplyInMemory(spool)))
        ask = an_ask(ReplyInMemory(spool), caller=caller)
        answering.arrive(ask)
        ask.abandon()
        await asyncio.sleep(0.01)
        assert (len(upstream.asked), spool.pending, caller._in_flight) == (1, 1, 0)

    async def test_who_is_refused_for_want_of_room_and_leaves_is_not_put_on_record(self, spool: Spool) -> None:
        answering, caller = an_answering(spool, UpstreamInMemory(whole)), Caller("ada")
        answering._gate = Gate(in_flight=0, waiting=0, wait_s=1)
        ask = an_ask(ReplyInMemory(spool), caller=caller)
        answering.arrive(ask)
        ask.abandon()
        await asyncio.sleep(0.01)
        assert (spool.pending, caller._in_flight) == (0, 0)


class TestEvents:
    async def test_a_question_with_similar_cases_is_recorded_as_the_model_saw_it(self, spool: Spool) -> None:
        looked_up = {"collection": "cases"}
        answering = an_answering(spool, UpstreamInMemory(whole), library=LibraryInMemory(), retrieval=looked_up)
        answering.arrive(an_ask(ReplyInMemory(spool)))
        await asyncio.sleep(0.05)
        asked = recorded(spool)["messages"]
        assert "a like case" in str(asked)
        assert recorded(spool)["input"] == "x"

    def test_what_is_written_by_hand_has_the_fields_of_the_contract(self) -> None:
        assert {*Completed.__struct_fields__, *Texts.__struct_fields__} == set(InferenceCompleted.model_fields)

    async def test_the_record_is_what_consumers_are_promised(self, spool: Spool) -> None:
        await run(spool, whole)
        (record,), _ = spool.read(10)
        event = InferenceCompleted.model_validate_json(record.value or b"")
        headers = dict(record.headers)
        envelope = Envelope(
            event_id=event.inference_id, event_type=INFERENCE_COMPLETED.event_type, source="/loopwright/router-svc",
            time=event.completed_at, correlation_id=event.inference_id,
        )  # fmt: skip
        assert headers == dict(envelope.to_headers()) | {"ce_time": headers["ce_time"]}
        assert record.key == event.inference_id.encode()
        assert event.messages is not None
        assert event.answer == "hi"

    async def test_an_event_over_the_limit_loses_its_conversation_alone(self, spool: Spool) -> None:
        await run(spool, whole)
        (record,), _ = spool.read(10)
        completed = msgspec.json.decode(record.value or b"", type=Completed)
        texts = Texts(b'"a"', [b"[]"], b'"b"')
        small = json.loads(completed_record(completed, texts, traceparent=None, event_bytes=100).value or b"")
        assert (small["input"], small["messages"], small["answer"]) == (None, None, None)
        assert small["inference_id"] == completed.inference_id


class TestRatings:
    async def test_a_rating_is_not_accepted_before_it_is_on_the_platter(
        self, spool: Spool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await run(spool, whole)
        draft = RatingDraft(
            inference_id=str(recorded(spool)["inference_id"]), metric="stars", value=5, comment=None,
            correction=None, rater=None,
        )  # fmt: skip
        desk = RatingDesk(ids=IDS, spool=spool, max_age_ms=1_000_000)
        flushed: list[int] = []
        fsync = os.fsync
        monkeypatch.setattr(os, "fsync", lambda fd: (flushed.append(fd), fsync(fd)))
        await accept_ratings(desk, [draft], tenant=None)
        assert flushed

        def fail(_: int) -> None:
            raise OSError(5, "rotten")

        monkeypatch.setattr(os, "fsync", fail)
        with pytest.raises(SpoolFull):
            await accept_ratings(desk, [draft], tenant=None)

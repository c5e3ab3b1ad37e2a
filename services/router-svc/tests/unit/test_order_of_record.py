"""What a client has seen the end of is on record already; what is acknowledged is on the platter."""

import asyncio
import json
import os
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from loopwright.contracts.registry import DEPLOYMENT_CHANGED, TASK_DEFINED
from loopwright.testing.examples import an_event
from router_svc.adapters.board import Board
from router_svc.adapters.spool import Spool, SpoolFull, SpoolLimits
from router_svc.adapters.upstream import BackendFailed, StreamBroken
from router_svc.domain.inference_ids import InferenceIds
from router_svc.domain.questions import Endpoint
from router_svc.handlers.answering import Ask, answer
from router_svc.handlers.rating import RatingDesk, RatingDraft, accept_ratings
from router_svc.handlers.serving import Limits, Serving
from router_svc.handlers.updating import take_in

IDS = InferenceIds(b"k" * 32)
CHUNK = b'data: {"id":"u","choices":[{"index":0,"delta":{"content":"hi"},"finish_reason":"stop"}]}\n\n'
DONE = b"data: [DONE]\n\n"
BODY = b'{"id":"u","choices":[{"index":0,"message":{"content":"hi"},"finish_reason":"stop"}]}'


@dataclass
class AnswerInMemory:
    """An upstream answer that is already here; what it holds may also be an error to raise."""

    pieces: tuple[bytes | BaseException, ...]
    streamed: bool
    status: int = 200
    content_type: str = "application/json"
    closed: bool = False

    @property
    def first(self) -> bytes:
        assert isinstance(self.pieces[0], bytes)
        return self.pieces[0]

    async def chunks(self) -> AsyncGenerator[bytes]:
        for piece in self.pieces:
            if isinstance(piece, BaseException):
                raise piece
            yield piece

    def close(self) -> None:
        self.closed = True


@dataclass
class UpstreamInMemory:
    outcome: AnswerInMemory | BaseException

    async def begin(self, *_: object, **__: object) -> AnswerInMemory:
        if isinstance(self.outcome, BaseException):
            raise self.outcome
        return self.outcome


@dataclass
class ReplyInMemory:
    """Notes what was sent, and how many events were on record at that moment."""

    spool: Spool
    sent: list[tuple[bytes, int]] = field(default_factory=list)

    async def start(self, status: int, headers: object) -> None:
        pass

    async def write(self, chunk: bytes) -> None:
        self.sent.append((chunk, self.spool.pending))

    async def end(self, chunk: bytes) -> None:
        self.sent.append((chunk, self.spool.pending))


@pytest.fixture
def spool(tmp_path: Path):
    spool = Spool.claim(tmp_path, limits=SpoolLimits(segment_bytes=1 << 20, total_bytes=1 << 20))
    yield spool
    spool.close()


async def run(spool: Spool, outcome: AnswerInMemory | BaseException) -> ReplyInMemory:
    board = Board()
    for event in (an_event(TASK_DEFINED), an_event(DEPLOYMENT_CHANGED)):
        take_in(board, event)
    board.loaded = True
    limits = Limits(copy_bytes=1 << 20, event_bytes=1 << 20)
    serving = Serving(board=board, ids=IDS, upstream=UpstreamInMemory(outcome), spool=spool, limits=limits)
    body = {"model": "log-anomaly", "messages": [{"role": "user", "content": "x"}], "stream": True}
    reply = ReplyInMemory(spool)
    await answer(serving, Ask(endpoint=Endpoint.CHAT, body=json.dumps(body).encode(), unit=None), reply)
    return reply


def recorded(spool: Spool) -> dict[str, object]:
    """The one event on record."""
    (record,), _ = spool.read(10)
    assert record.value is not None
    return json.loads(record.value)


class TestAnswers:
    async def test_the_whole_body_goes_out_after_its_event_was_recorded(self, spool: Spool) -> None:
        reply = await run(spool, AnswerInMemory((BODY,), streamed=False))
        assert [pending for _, pending in reply.sent] == [1]

    async def test_the_end_of_a_stream_goes_out_after_its_event_was_recorded(self, spool: Spool) -> None:
        upstream = AnswerInMemory((CHUNK, DONE), streamed=True)
        reply = await run(spool, upstream)
        assert [pending for _, pending in reply.sent] == [0, 1]
        assert reply.sent[-1][0] == DONE
        assert upstream.closed

    @pytest.mark.parametrize(
        ("error", "status"),
        [(StreamBroken("a", "b"), 502), (asyncio.CancelledError(), 499), (RuntimeError("a bug"), 500)],
    )
    async def test_a_stream_that_does_not_end_well_is_recorded_with_what_came(
        self, spool: Spool, error: BaseException, status: int
    ) -> None:
        upstream = AnswerInMemory((CHUNK, error), streamed=True)
        if status == 502:
            await run(spool, upstream)
        else:
            with pytest.raises(type(error)):
                await run(spool, upstream)
        assert recorded(spool)["http_status"] == status
        assert recorded(spool)["answer"] == "hi"
        assert upstream.closed

    async def test_a_request_that_nobody_answered_is_recorded(self, spool: Spool) -> None:
        with pytest.raises(BackendFailed):
            await run(spool, BackendFailed("a", "b"))
        assert recorded(spool)["http_status"] == 503

    async def test_two_requests_of_nobody_are_two_units(self, spool: Spool) -> None:
        for _ in range(2):
            await run(spool, AnswerInMemory((BODY,), streamed=False))
        records, _ = spool.read(10)
        events = [json.loads(record.value or b"") for record in records]
        assert len({event["unit_hash"] for event in events}) == 2
        assert len({event["inference_id"] for event in events}) == 2


class TestRatings:
    async def test_a_rating_is_not_accepted_before_it_is_on_the_platter(
        self, spool: Spool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await run(spool, AnswerInMemory((BODY,), streamed=False))
        draft = RatingDraft(
            inference_id=str(recorded(spool)["inference_id"]), metric="stars", value=5, comment=None,
            correction=None, rater=None,
        )  # fmt: skip
        desk = RatingDesk(ids=IDS, spool=spool, max_age_ms=1_000_000)
        flushed: list[int] = []
        fsync = os.fsync
        monkeypatch.setattr(os, "fsync", lambda fd: (flushed.append(fd), fsync(fd)))
        await accept_ratings(desk, [draft])
        assert flushed

        def fail(_: int) -> None:
            raise OSError(5, "rotten")

        monkeypatch.setattr(os, "fsync", fail)
        with pytest.raises(SpoolFull):
            await accept_ratings(desk, [draft])

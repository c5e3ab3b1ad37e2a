"""Whether a head came before on its connection changes nothing but what a request costs."""

import asyncio
import itertools
import json
import math
import time
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from uvicorn.server import ServerState

from loopwright.errors import Invalid
from router_svc.adapters.callers import Guard, GuardRules
from router_svc.api import protocol
from router_svc.api.heads import known_head
from router_svc.api.protocol import ClientConnection, Door, DoorLimits
from router_svc.handlers.answering import Ask

LIMITS = DoorLimits(head_bytes=4096, body_bytes=1000, request_s=10, idle_s=20, stalled_s=30)
HEAD_END = b"\r\n\r\n"
BODY = b'{"model":"t","messages":[]}'
FIRST_LINE = b"POST /v1/chat/completions HTTP/1.1"
LINES = [
    b"Host: x", b"Connection: keep-alive", b"X-Session-ID: user-1", b"traceparent: 00-a-b-01", b"Content-Length: %d",
]  # fmt: skip
Story = list[bytes | str]


def a_request(body: bytes = BODY, *, first: bytes = FIRST_LINE, lines: list[bytes] = LINES, more: int = 0) -> bytes:
    """One whose length is told where a line has a place for it, and is `more` than the body has."""
    head = b"\r\n".join([first, *lines, b"\r\n"])
    return head.replace(b"%d", b"%d" % (len(body) + more)).replace(b"%x", b"%x" % len(body)) + body


USUAL = a_request()
VALUES = [
    b"user-2", b"user 2", b"x" * 600, b"  user-2", b"user-2 ", b"user-2\t", b"\tu", b"", b" ", b"u\0", b"u\r", b"u\n", b"\x80", b"u\n v: w",
    b"u\r\n v", b"u\r\nv: w", b"u\x7f", b"u\tv", b"u, v", b"\xa0", b"\xe9", b"\xff",
]  # fmt: skip
LENGTHS = [
    b"0%d",
    b"+%d",
    b"-%d",
    b"0x%x",
    b"%d ",
    b" %d",
    b"%d, %d",
    b"0000000000%d",
    b"1%d",
    b"",
    b"a",
    b"\xb2",
    b"%d\r\nContent-Length: %d",
]
OTHER_LINES = [
    *[b"X-Session-ID: " + value for value in VALUES], *[b"Content-Length: " + length for length in LENGTHS],
    b"Connection: close", b"Connection: Keep-Alive", b"Connection: upgrade", b"Connection: closed", b"Upgrade: h2c",
    b"Expect: 100-continue", b"Transfer-Encoding: chunked", b"Proxy-Connection: close", b"Proxy-Connection: keep-alive",
    b"X-Session-ID:user-2", b"x-session-id: user-2", b"X-Session-ID : u", b"traceparent: 00-a-c-01", b"authorization: b",
    b"Content-Length: %d", b"content-length: %d", b"Content-Length:%d", b"Host: y", b"no header", b"", b" folded",
]  # fmt: skip
FIRST_LINES = [
    b"POST /v1/embeddings HTTP/1.1", b"POST /v1/chat/completions HTTP/1.0", b"POST /v1/chat/completions HTTP/2.0",
    b"POST  /v1/chat/completions HTTP/1.1", b"POST /v1/chat/completions?a HTTP/1.1", b"GET /v1/chat/completions HTTP/1.1",
    b"POST /other HTTP/1.1", b"\r\n" + FIRST_LINE, b"x" + FIRST_LINE, FIRST_LINE[:-1],
]  # fmt: skip
BODIES = [BODY[:-1] + b',"user":"b"}', b"", HEAD_END, b'{"a":"\r\n\r\n"}', b"{", b"x" * 1001, USUAL, a_request(USUAL)]
AFTER = [b"\r", b"\r\n", b"x", b"POST ", HEAD_END, USUAL, USUAL[:-5]]


def _changed(line: bytes) -> list[list[bytes]]:
    """The usual lines with this one instead of each, and beside each."""
    return [[*LINES[:place], line, *LINES[place + gone :]] for place in range(len(LINES)) for gone in (0, 1)]


REQUESTS = [
    *[a_request(lines=lines) for line in OTHER_LINES for lines in _changed(line)],
    *[a_request(first=first) for first in FIRST_LINES],
    *[a_request(body) for body in BODIES],
    *[a_request(more=more) for more in (1, -1, -len(BODY), 5000)],
    *[USUAL + after for after in AFTER],
]


@dataclass
class WireInMemory:
    written: list[bytes] = field(default_factory=list)
    closing: bool = False
    reading: bool = True

    def write(self, data: bytes) -> None:
        assert not self.closing, "nothing is written to a closed connection"
        self.written.append(data)

    def get_extra_info(self, *_: object) -> None: ...

    def is_closing(self) -> bool:
        return self.closing

    def can_write_eof(self) -> bool:
        return True

    def close(self) -> None:
        self.closing = True

    abort = write_eof = close

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True


async def application(_scope, receive, send) -> None:
    while (await receive()).get("more_body", False):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


class Client:
    """One connection, and what is asked over it."""

    def __init__(self) -> None:
        self.asks: list[Ask] = []
        guard = Guard(GuardRules(required=False), keys=None, verifier=None)
        self.door = Door(self, guard, LIMITS)  # pyright: ignore[reportArgumentType] - answers as far as it is asked to
        config = SimpleNamespace(loaded_app=application, asgi_version="3.0", root_path="")
        self.wire = WireInMemory()
        self.connection = self.door.connect(config=config, server_state=ServerState(), app_state={})
        self.connection.connection_made(self.wire)

    def arrive(self, ask: Ask) -> None:
        self.asks.append(ask)
        try:
            json.loads(ask.body)
        except ValueError:
            ask.refuse(Invalid("router.malformed-request", "no JSON"))

    def take(self, step: bytes | str) -> None:
        connection, ask = self.connection, self.connection._ask
        if isinstance(step, bytes):
            connection.data_received(step)
        elif step == "answer" and ask is not None:
            ask.reply.whole(200, b"", b"{}")
        elif step == "stream" and ask is not None:
            ask.reply.start(200, b"")
            ask.reply.end(b"data")
        elif step == "drain":
            self.door.draining = True
        elif step in {"pause", "resume", "stop"}:
            {"pause": connection.pause_writing, "resume": connection.resume_writing, "stop": connection.shutdown}[
                step
            ]()

    def seen(self) -> object:
        """Everything that others see."""
        patience_s = self.connection.deadline - time.monotonic()
        asked = [(ask.endpoint, ask.body, ask.headers) for ask in self.asks]
        patience_s = patience_s if patience_s == math.inf else round(patience_s)
        return asked, b"".join(self.wire.written), self.wire.closing, self.wire.reading, patience_s


async def told(story: Story, *, forgetful: bool) -> list[object]:
    """What is seen after each step."""
    client, seen = Client(), list[object]()
    for step in story:
        if client.wire.closing:
            break
        if forgetful:
            client.connection._known = None
        client.take(step)
        for _ in range(3):
            await asyncio.sleep(0)
        seen.append(client.seen())
    client.connection.connection_lost(None)
    return seen


def cut(sent: bytes, *places: int) -> Story:
    return [piece for start, end in itertools.pairwise([0, *sorted(places), len(sent)]) if (piece := sent[start:end])]


def stories_of(request: bytes) -> list[Story]:
    """Ways in which it comes with usual ones."""
    in_parts = cut(request, request.find(HEAD_END) + 4)
    return [
        [USUAL, "answer", request, "answer", USUAL, "stream", "stop"],
        [request, "answer", request, "answer", USUAL, "stream", "stop"],
        [USUAL, "answer", request, USUAL, "answer", "answer"],
        [request, request, "answer", "answer"],
        [USUAL, "answer", *in_parts, "answer", USUAL, "answer"],
        [*in_parts, "answer", *in_parts, "stream", request, "answer"],
        [USUAL, "answer", request[:9], request[9:-2], request[-2:] + USUAL, "answer", "answer"],
        [USUAL, "drain", "answer", request, "answer"],
    ]


@st.composite
def stories(draw: st.DrawFn) -> Story:
    """Some requests, cut anywhere, and what happens meanwhile."""
    story: Story = []
    requests = st.just(USUAL) | st.builds(a_request, st.sampled_from(BODIES)) | st.sampled_from(REQUESTS)
    steps = st.sampled_from(["answer", "answer", "answer", "stream", "pause", "resume", "drain", "stop"])
    for sent in draw(st.lists(st.lists(requests, min_size=1, max_size=2).map(b"".join), min_size=2, max_size=6)):
        story += cut(sent, *draw(st.lists(st.integers(0, len(sent)), max_size=2)))
        story += draw(st.lists(steps, min_size=1, max_size=2))
    return story


class TestHeadsThatComeAgain:
    async def test_no_request_is_read_otherwise_after_a_usual_one(self) -> None:
        for request in REQUESTS:
            for story in stories_of(request):
                assert await told(story, forgetful=False) == await told(story, forgetful=True), story

    @settings(max_examples=300, deadline=None)
    @given(story=stories())
    def test_no_story_goes_on_otherwise(self, story: Story) -> None:
        async def both() -> tuple[list[object], list[object]]:
            return await told(story, forgetful=False), await told(story, forgetful=True)

        known, parsed = asyncio.run(both())
        assert known == parsed

    async def test_bytes_between_requests_count_for_no_head(self) -> None:
        blank, begun = b"\r\n" * 2000, USUAL[:100]
        for story in (
            [USUAL, "answer", blank, USUAL, "answer", begun],
            [USUAL, "answer", b"\r\n", USUAL, "answer", "stop"],
        ):
            assert await told(story, forgetful=False) == await told(story, forgetful=True)

    @pytest.mark.parametrize("place", [0, -len(BODY), -3], ids=["whole", "head first", "end later"])
    async def test_a_head_that_came_before_is_not_parsed(self, monkeypatch: pytest.MonkeyPatch, place: int) -> None:
        client = Client()
        differing = [
            (b"user-1", b"00-a-b-01"),
            (b"user-1", b"00-a-b-01"),
            (b"user-2", b"00-a-b-01"),
            (b"user-3", b"00-a-c-01"),
        ]
        for number, (user, trace) in enumerate(differing):
            body = BODY[:-1] + b',"n":%d}' % 10**number
            sent = a_request(body).replace(b"user-1", user).replace(b"00-a-b-01", trace)
            for piece in cut(sent, len(sent) + place):
                client.take(piece)
            asked = client.asks[number]
            assert asked.body == body
            assert asked.headers == {
                b"host": b"x", b"connection": b"keep-alive", b"x-session-id": user, b"traceparent": trace,
                b"content-length": b"%d" % len(body),
            }  # fmt: skip
            client.take("answer")
            monkeypatch.setattr(ClientConnection, "_parse", None)
        assert len(client.wire.written) == len(differing)

    @pytest.mark.parametrize(("others", "most"), [(1, 3), (2, 3), (20, 12)])
    async def test_heads_that_keep_changing_are_soon_just_parsed(
        self, monkeypatch: pytest.MonkeyPatch, others: int, most: int
    ) -> None:
        learnt: list[bytes] = []
        monkeypatch.setattr(protocol, "known_head", lambda data, *read: learnt.append(data) or known_head(data, *read))
        client = Client()
        for number in range(12):
            for _ in range(others):
                client.take(a_request(first=FIRST_LINE.replace(b" HTTP", b"?%d HTTP" % number)))
                client.take("answer")
        assert len(learnt) == most
        assert len(client.asks) == 12 * others

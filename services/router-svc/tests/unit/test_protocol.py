"""Whatever bytes a client sends, it gets an answer or a closed connection, and the next client is served."""

import asyncio
import json
import re
import time
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from uvicorn.server import ServerState

from loopwright.errors import Invalid
from router_svc.adapters.callers import Guard, GuardRules
from router_svc.api.protocol import ClientConnection, Door, DoorLimits
from router_svc.handlers.answering import Ask
from router_svc.handlers.exchange import Exchange

BODY = b'{"model":"t","messages":[]}'
HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n"
WHOLE = HEAD + b"content-length: %d\r\n\r\n%b" % (len(BODY), BODY)
LIMITS = DoorLimits(head_bytes=4096, body_bytes=1000, request_s=10, idle_s=10, stalled_s=10)


@dataclass
class TransportInMemory:
    written: bytearray = field(default_factory=bytearray)
    closing: bool = False
    reading: bool = True

    def write(self, data: bytes) -> None:
        assert not self.closing, "nothing is written to a closed connection"
        self.written += data

    def writelines(self, pieces: list[bytes]) -> None:
        self.write(b"".join(pieces))

    def get_extra_info(self, name: str, default: object = None) -> object:
        return ("127.0.0.1", 5000) if name == "peername" else default

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        self.closing = True

    abort = write_eof = close

    def can_write_eof(self) -> bool:
        return True

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True


@dataclass
class ExchangeInMemory:
    """Answers when told to."""

    ask: Ask
    reply: ClientConnection
    told: list[str] = field(default_factory=list)

    def answer(self, text: bytes = b"{}") -> None:
        self.reply.whole(200, b"content-type: application/json\r\n", text)

    def abandon(self) -> None:
        self.told.append("abandoned")

    def pause(self) -> None:
        self.told.append("paused")

    def resume(self) -> None:
        self.told.append("resumed")


@dataclass
class AnsweringInMemory:
    at_once: bool = True
    begun: list[ExchangeInMemory] = field(default_factory=list)

    def arrive(self, ask: Ask) -> None:
        try:
            json.loads(ask.body)
        except ValueError:
            ask.refuse(Invalid("router.malformed-request", "no JSON"))
            return
        exchange = ExchangeInMemory(ask, cast("ClientConnection", ask.reply))
        ask.exchange = cast("Exchange", exchange)
        self.begun.append(exchange)
        if self.at_once:
            asyncio.get_running_loop().call_soon(self._answer, exchange)

    @staticmethod
    def _answer(exchange: ExchangeInMemory) -> None:
        if not exchange.told and exchange.reply._transport is not None and not exchange.reply._transport.is_closing():
            exchange.answer()


async def application(scope, receive, send) -> None:
    """Tells path and body."""
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    content = scope["path"].encode() + b" " + body
    head = [(b"content-length", b"%d" % len(content))]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    await send({"type": "http.response.body", "body": content})


class Client:
    """One connection to a door."""

    def __init__(self, answering: AnsweringInMemory) -> None:
        guard = Guard(GuardRules(required=False), keys=None, verifier=None)
        self.door = Door(answering, guard, LIMITS)  # pyright: ignore[reportArgumentType] - the part that is used
        config = SimpleNamespace(loaded_app=application, asgi_version="3.0", root_path="")
        self.transport = TransportInMemory()
        self.connection = self.door.connect(config=config, server_state=ServerState(), app_state={})
        self.connection.connection_made(self.transport)

    async def send(self, *pieces: bytes) -> bytes:
        """Everything that comes back."""
        for piece in pieces:
            if not self.transport.closing:
                self.connection.data_received(piece)
        for _ in range(20):
            await asyncio.sleep(0)
        return bytes(self.transport.written)

    def statuses(self) -> list[bytes]:
        return re.findall(rb"HTTP/1\.1 (\d{3}) ", self.transport.written)


class TestRequests:
    async def test_a_request_is_read_however_it_is_cut(self) -> None:
        for cut in range(1, len(WHOLE)):
            client = Client(AnsweringInMemory())
            await client.send(WHOLE[:cut], WHOLE[cut:])
            assert client.statuses() == [b"200"]

    async def test_chunks_are_put_together(self) -> None:
        answering = AnsweringInMemory()
        client = Client(answering)
        await client.send(HEAD + b'transfer-encoding: chunked\r\n\r\n5\r\n{"a":\r\n2;x=y\r\n1}\r\n0\r\n\r\n')
        assert answering.begun[0].ask.body == b'{"a":1}'

    async def test_pipelined_requests_are_answered_in_order_hot_and_cold(self) -> None:
        client = Client(AnsweringInMemory())
        cold = b"POST /other?a=b HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\nabc"
        written = await client.send(WHOLE + cold + WHOLE + b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n" + WHOLE)
        assert client.statuses() == [b"200"] * 5
        assert written.index(b"/other abc") < written.index(b"/health ")
        assert not client.transport.closing

    async def test_a_client_that_pipelines_without_end_is_read_no_further(self) -> None:
        answering = AnsweringInMemory(at_once=False)
        client = Client(answering)
        await client.send(WHOLE * 20)
        assert not client.transport.reading
        for number in range(20):
            answering.begun[number].answer()
        assert client.transport.reading
        assert client.statuses() == [b"200"] * 20

    async def test_who_wants_to_close_is_told_and_closed(self) -> None:
        client = Client(AnsweringInMemory())
        written = await client.send(HEAD + b"connection: close\r\ncontent-length: 2\r\n\r\n{}")
        assert b"connection: close" in written
        assert client.transport.closing

    async def test_who_expects_to_be_told_to_go_on_is(self) -> None:
        client = Client(AnsweringInMemory())
        written = await client.send(HEAD + b"expect: 100-continue\r\ncontent-length: 2\r\n\r\n")
        assert written == b"HTTP/1.1 100 Continue\r\n\r\n"
        await client.send(b"{}")
        assert client.statuses() == [b"100", b"200"]

    async def test_other_methods_are_told_which_one_it_is(self) -> None:
        client = Client(AnsweringInMemory())
        written = await client.send(b"GET /v1/chat/completions HTTP/1.1\r\nhost: x\r\n\r\n")
        assert client.statuses() == [b"405"]
        assert b"allow: POST" in written


class TestRefusals:
    @pytest.mark.parametrize(
        "lines",
        [
            b"content-length: 5\r\ncontent-length: 6\r\n\r\nhello!",
            b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
            b"transfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n",
            b"transfer-encoding: chunked\r\n\r\nzz\r\n",
            b"transfer-encoding: gzip\r\n\r\nabc",
            b"content-length: +5\r\n\r\nhello",
            b"content-length : 5\r\n\r\nhello",
            b"bad header\r\n\r\n",
        ],
    )
    async def test_what_two_servers_could_read_differently_is_refused_and_closed(self, lines: bytes) -> None:
        answering = AnsweringInMemory()
        client = Client(answering)
        await client.send(HEAD + lines + WHOLE)
        assert client.statuses() == [b"400"]
        assert client.transport.closing
        assert not answering.begun

    async def test_a_body_or_head_over_the_limit_is_refused(self) -> None:
        body, head, announced = (Client(AnsweringInMemory()) for _ in range(3))
        await body.send(HEAD + b"content-length: 5000\r\n\r\n", *[b"x" * 500] * 10)
        await head.send(HEAD, *[b"x-a: %b\r\n" % (b"y" * 500)] * 20)
        await announced.send(HEAD + b"expect: 100-continue\r\ncontent-length: 5000\r\n\r\n")
        assert [client.statuses() for client in (body, head, announced)] == [[b"413"], [b"431"], [b"413"]]

    async def test_a_fault_of_ours_is_an_answer_and_not_the_end(self, monkeypatch: pytest.MonkeyPatch) -> None:
        client = Client(AnsweringInMemory())
        monkeypatch.setattr(Guard, "admit", lambda *_, **__: 1 / 0)
        written = await client.send(WHOLE)
        assert client.statuses() == [b"500"]
        assert b"division" not in written

    @settings(max_examples=300, deadline=None)
    @given(
        noise=st.lists(
            st.binary(max_size=40)
            | st.sampled_from([WHOLE, HEAD, b"\r\n\r\n", b"content-length: 3\r\n\r\n{}x", b"0\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n",
                               b"transfer-encoding: chunked\r\n\r\n", b"upgrade: h2c\r\nconnection: upgrade\r\n\r\n",
                               b"CONNECT a:1 HTTP/1.1\r\n\r\n", b"GET http://[ HTTP/1.1\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\n"]),
            max_size=8,
        )
    )  # fmt: skip
    def test_no_bytes_make_us_fail(self, noise: list[bytes]) -> None:
        async def story() -> list[bytes]:
            client = Client(AnsweringInMemory())
            await client.send(*noise)
            client.connection.connection_lost(None)
            return client.statuses()

        assert not any(status.startswith(b"5") for status in asyncio.run(story()))


class TestSlowAndGone:
    async def test_a_slow_client_makes_the_model_wait(self) -> None:
        answering = AnsweringInMemory(at_once=False)
        client = Client(answering)
        await client.send(WHOLE)
        client.connection.pause_writing()
        client.connection.resume_writing()
        assert answering.begun[0].told == ["paused", "resumed"]

    async def test_an_answer_that_begins_while_nothing_is_read_waits_too(self) -> None:
        answering = AnsweringInMemory(at_once=False)
        client = Client(answering)
        await client.send(WHOLE)
        client.connection.pause_writing()  # before the model's server has begun: there is nothing to make wait yet
        answering.begun[0].told.clear()
        client.connection.start(200, b"")
        assert answering.begun[0].told == ["paused"]
        client.connection.resume_writing()
        assert answering.begun[0].told == ["paused", "resumed"]

    @pytest.mark.parametrize("after", [WHOLE, b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n"], ids=["hot", "cold"])
    @pytest.mark.parametrize("pipelined", [True, False])
    async def test_nothing_more_is_asked_for_a_client_that_does_not_read(
        self, after: bytes, *, pipelined: bool
    ) -> None:
        answering = AnsweringInMemory(at_once=False)
        client = Client(answering)
        await client.send(WHOLE + after * pipelined)
        client.connection.pause_writing()
        answering.begun[0].answer()
        written = await client.send(after * (not pipelined), after * 10)
        assert (client.statuses(), len(answering.begun)) == ([b"200"], 1)
        assert not client.transport.reading
        client.connection.resume_writing()
        for _ in range(10):
            await client.send()
            if len(answering.begun) > 1:
                answering.begun.pop().answer()
        assert client.transport.written.startswith(written)
        assert len(client.statuses()) > 8
        assert client.transport.reading

    async def test_patience_with_who_does_not_read_ends_whatever_it_sends(self) -> None:
        client = Client(AnsweringInMemory(at_once=False))
        await client.send(WHOLE)
        client.connection.pause_writing()
        until = client.connection.deadline
        await client.send(WHOLE, HEAD)
        assert client.connection.deadline == until
        client.connection.resume_writing()
        assert client.connection.deadline > until

    @pytest.mark.parametrize("end", ["stop", "upgrade"])
    async def test_a_last_request_is_answered_once_the_answers_before_it_are_read(self, end: str) -> None:
        client = Client(AnsweringInMemory())
        await client.send(WHOLE)
        client.connection.pause_writing()
        if end == "stop":
            await client.send(HEAD)
            client.connection.shutdown()
            await client.send(WHOLE[len(HEAD) :])
        else:
            await client.send(HEAD.replace(b"POST", b"GET") + b"upgrade: h2c\r\nconnection: upgrade\r\n\r\n")
        assert client.statuses() == [b"200"]
        client.connection.resume_writing()
        await client.send()
        assert client.statuses() == [b"200", b"200" if end == "stop" else b"405"]
        assert client.transport.closing

    async def test_who_leaves_is_noticed_at_once(self) -> None:
        answering = AnsweringInMemory(at_once=False)
        client = Client(answering)
        await client.send(WHOLE)
        client.connection.connection_lost(None)
        assert answering.begun[0].told == ["abandoned"]

    async def test_a_stop_waits_for_the_answer_and_takes_no_further_request(self) -> None:
        answering = AnsweringInMemory(at_once=False)
        busy, idle = Client(answering), Client(AnsweringInMemory())
        await busy.send(WHOLE)
        await idle.send(WHOLE)
        busy.connection.shutdown()
        idle.connection.shutdown()
        assert (busy.transport.closing, idle.transport.closing) == (False, True)
        answering.begun[0].answer()
        assert busy.transport.closing
        assert b"connection: close" in busy.transport.written

    @pytest.mark.parametrize("sent", [b"", HEAD[:20], HEAD, WHOLE[:-1]], ids=["nothing", "a line", "a head", "half"])
    async def test_a_stop_lets_a_first_request_arrive_but_not_for_ever(self, sent: bytes) -> None:
        client = Client(AnsweringInMemory())
        if sent:
            await client.send(sent)
        client.connection.shutdown()
        assert not client.transport.closing
        assert client.connection.deadline < time.monotonic() + LIMITS.idle_s / 2
        assert b"connection: close" in await client.send(WHOLE[len(sent) :])
        assert client.transport.closing

    @pytest.mark.parametrize("request_bytes", [WHOLE, b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n"], ids=["hot", "cold"])
    async def test_while_it_drains_each_connection_ends_with_its_next_answer(self, request_bytes: bytes) -> None:
        client = Client(AnsweringInMemory())
        await client.send(WHOLE)
        client.door.draining = True
        assert not client.transport.closing
        written = await client.send(request_bytes)
        assert client.statuses() == [b"200", b"200"]
        assert written.count(b"connection: close") == 1
        assert client.transport.closing

    @pytest.mark.parametrize("after", [b"no request\r\n\r\n", b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n", WHOLE])
    async def test_what_comes_with_a_last_request_is_not_read(self, after: bytes) -> None:
        answering = AnsweringInMemory()
        client = Client(answering)
        client.door.draining = True
        await client.send(HEAD + b"content-length: 2\r\n\r\n{]" + after)
        assert client.statuses() == [b"400"]
        assert client.transport.closing
        assert not answering.begun
        assert client.connection.deadline > time.monotonic() + LIMITS.idle_s / 2

    async def test_patience_ends_with_who_sends_half_a_request(self) -> None:
        client = Client(AnsweringInMemory())
        await client.send(HEAD)
        waits_for_request = client.connection.deadline
        await client.send(b"content-length: 2\r\n\r\n{}")
        assert waits_for_request < client.connection.deadline + LIMITS.idle_s
        client.connection.expire()
        assert client.transport.closing

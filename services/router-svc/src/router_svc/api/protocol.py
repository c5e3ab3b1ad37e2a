"""The inference port: requests of models' endpoints on the raw transport, all others through it to the application.

HTTP is parsed by llhttp (httptools), strictly: conflicting lengths, bad chunks and both kinds of framing at once are
refused, and the connection is closed (RFC 9112, 6.3).
"""

import asyncio
import gc
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, cast

import httptools

from loopwright.errors import Invalid, PlatformError
from loopwright.telemetry import HTTP_REQUESTS
from router_svc.adapters.callers import Guard
from router_svc.api.bridge import Bridge, ColdRequest
from router_svc.api.framing import framed, stream_head, whole_head
from router_svc.api.heads import COST, MOST_CREDIT, HotRequest, KnownHead, joined, known_head
from router_svc.api.openai_errors import BodyTooLarge, HeadTooLarge, MethodNotAllowed, error_answer
from router_svc.domain.callers import Caller
from router_svc.domain.headers import lines_of
from router_svc.domain.questions import Endpoint
from router_svc.handlers.answering import Answering, Ask, fault_of_ours

_PATHS: Final = {f"/v1/{endpoint}".encode(): endpoint for endpoint in Endpoint}
_MOST_PIPELINED: Final = 8  # requests that wait on one connection before no more are read
_LINGER_S = 2.0  # for a client to read why it was refused, before the connection is cut (RFC 9112, 9.6)
_JOINED_BYTES: Final = 16_384
_NEVER: Final = float("inf")
_monotonic: Final = time.monotonic
_time: Final = time.time
_GC_THRESHOLD = 50_000  # requests leave no circles: collecting is only for what seldom happens


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorLimits:
    """What clients may send, and how slowly.

    Attributes:
        request_s: For a whole request to arrive.
        idle_s: For the next request on a kept connection.
        stalled_s: For a client to take what was sent to it.
    """

    head_bytes: int = 65_536
    body_bytes: int
    request_s: float
    idle_s: float
    stalled_s: float


class Door:
    """What every connection of a worker shares.

    Attributes:
        draining: Whether the worker ends soon: each connection ends with its next answer.
    """

    def __init__(self, answering: Answering, guard: Guard, limits: DoorLimits) -> None:
        self.answering = answering
        self.guard = guard
        self.limits = limits
        self.draining = False
        self.connections: set[ClientConnection] = set()
        self._counted: dict[tuple[Endpoint, int], int] = {}  # that the metric does not have yet
        self._ordinary: list[tuple[bytes, bytes]] = []
        self._lines = b""

    def count(self, endpoint: Endpoint, status: int) -> None:
        key = (endpoint, status)
        self._counted[key] = self._counted.get(key, 0) + 1

    def _hand_counts_over(self) -> None:
        """To the metric, whose own way to count costs as much as a good part of a request."""
        counted, self._counted = self._counted, {}
        for (endpoint, status), number in counted.items():
            HTTP_REQUESTS.labels("POST", f"/v1/{endpoint}", status).inc(number)

    def common_lines(self, headers: list[tuple[bytes, bytes]]) -> bytes:
        """Lines of the headers of every answer, which uvicorn makes anew each second."""
        if headers is not self._ordinary:
            self._ordinary = headers
            self._lines = lines_of(headers)
        return self._lines

    def connect(self, **uvicorn: object) -> asyncio.Protocol:
        """A new connection, as uvicorn makes them."""
        return cast("asyncio.Protocol", ClientConnection(self, Bridge.of(uvicorn)))

    async def run(self) -> None:
        """Closes connections that take too long, and hands figures over."""
        gc.set_threshold(_GC_THRESHOLD, 20, 20)
        try:
            while True:
                await asyncio.sleep(0.5)
                now = _monotonic()
                for connection in [one for one in self.connections if one.deadline <= now]:
                    connection.expire()
                self._hand_counts_over()
        finally:
            self._hand_counts_over()


class ClientConnection:
    """One client's connection; requests on it are answered one after the other.

    It is a protocol as asyncio has it, but of no class of asyncio's.

    Attributes:
        deadline: Monotonic seconds at which patience with the client ends.
    """

    __slots__ = ("_ask", "_bridge", "_chunked", "_cold", "_credit", "_door", "_failed", "_head_bytes", "_headers",
                 "_hot", "_keep_alive", "_known", "_parser", "_parsing", "_peer", "_plain", "_queue", "_reading", "_sending",
                 "_stalled_at", "_state", "_transport", "_url", "deadline")  # fmt: skip

    def __init__(self, door: Door, bridge: Bridge) -> None:
        self._door = door
        self._bridge = bridge
        self._state = bridge.state
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._peer = "unknown"
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._head_bytes = 0
        self._parsing = False  # llhttp is within a request
        self._plain: Endpoint | None = None  # of the request that llhttp read last, if its head may be known again
        self._known: KnownHead | None = None  # of that request
        self._credit = MOST_CREDIT  # that heads come again
        self._hot: HotRequest | None = None  # that is arriving
        self._cold: ColdRequest | None = None  # that is arriving
        self._queue: deque[HotRequest | ColdRequest] = deque()
        self._sending: HotRequest | ColdRequest | None = None  # that is being answered
        self._ask: Ask | None = None
        self._keep_alive = True
        self._chunked = False
        self._reading = True
        self._failed = False  # nothing that comes any more is read
        self._stalled_at = _NEVER  # unless it must first read what it was sent: until when we wait for that
        self.deadline = _NEVER

    # callbacks of the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are none by their class
        peer = transport.get_extra_info("peername")
        self._peer = str(peer[0]) if peer else "unknown"
        self.deadline = _monotonic() + self._door.limits.idle_s
        self._door.connections.add(self)
        self._bridge.opened(self, self._transport)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._door.connections.discard(self)
        self._bridge.closed(self)
        self._failed = True
        for request in (self._sending, self._cold, *self._queue):
            if isinstance(request, ColdRequest):
                request.disconnect()
        self._queue.clear()
        ask, self._ask = self._ask, None
        if ask is not None:
            ask.abandon()

    def data_received(self, data: bytes) -> None:
        if self._hot is not None and self._hot.missing and not self._failed:
            data = self._take_missing(self._hot, data)
            if not data:
                return
        if self._failed or (self._known is not None and not self._parsing and self._is_known(self._known, data)):
            return
        begins = not self._parsing
        self._parse(data)
        if begins and self._plain is not None and self._credit >= COST and not self._failed:
            self._credit -= COST
            self._known = known_head(data, self._plain, self._url, self._headers)

    def _take_missing(self, hot: HotRequest, data: bytes) -> bytes:
        rest = hot.take(data)
        if not hot.missing:
            self._hot = None
            self._complete(hot)
        return rest

    def _is_known(self, known: KnownHead, data: bytes) -> bool:
        """Takes a request in whose head was known; False if it is to be parsed."""
        hot = known.begin(data, most=self._door.limits.body_bytes, keep_alive=not self._door.draining)
        if hot is None:
            return False
        self._credit = min(self._credit + 1, MOST_CREDIT)
        self._head_bytes = 0
        if hot.missing:
            self._hot = hot
            self.deadline = min(_monotonic() + self._door.limits.request_s, self._stalled_at)
        else:
            self._complete(hot)
        return True

    def _parse(self, data: bytes) -> None:
        if self._hot is None and self._cold is None:
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            # it is answered as if it had not asked for another protocol; what follows is not ours to read
            self._failed, self._keep_alive = True, False
        except httptools.HttpParserError as error:
            self._refuse_connection(Invalid("router.malformed-http", f"This is no HTTP request: {error}"[:200]))
            return
        if self._hot is None and self._cold is None and self._head_bytes > self._door.limits.head_bytes:
            self._refuse_connection(HeadTooLarge("router.head-too-large", "the request's headers are too long"))

    def eof_received(self) -> None:
        """Whoever closes its side is taken to be gone, as by every server that we know."""

    def pause_writing(self) -> None:
        self._stalled_at = self.deadline = _monotonic() + self._door.limits.stalled_s
        if self._ask is not None and self._ask.exchange is not None:
            self._ask.exchange.pause()
        self._bridge.pause_writing(self)

    def resume_writing(self) -> None:
        self._stalled_at = _NEVER
        self._be_patient()
        if self._ask is not None and self._ask.exchange is not None:
            self._ask.exchange.resume()
        self._bridge.resume_writing(self)
        if self._sending is None:
            self._go_on()

    # callbacks of the parser

    def on_message_begin(self) -> None:
        self._url = b""
        self._headers = []
        self._parsing, self._plain, self._known = True, None, None
        if not self._failed:
            self.deadline = min(_monotonic() + self._door.limits.request_s, self._stalled_at)

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        self._head_bytes = 0
        if self._failed:  # by what came before it in the same bytes
            return
        parser = self._parser
        endpoint = _PATHS.get(self._url) or _PATHS.get(self._url.partition(b"?")[0])
        http_version = parser.get_http_version()
        keep_alive = http_version != "1.0" and parser.should_keep_alive() and not self._door.draining
        if endpoint is None:
            self._begin_cold(http_version, keep_alive=keep_alive)
            return
        headers = dict(self._headers)
        if len(headers) < len(self._headers):
            headers = joined(self._headers)
        hot = self._hot = HotRequest(endpoint, headers, keep_alive=keep_alive)
        if parser.get_method() != b"POST":
            hot.refusal = MethodNotAllowed("router.method-not-allowed", "models are asked by POST")
        elif b"expect" in headers:
            self._expect(headers)
        elif keep_alive:
            self._plain = endpoint

    def _begin_cold(self, http_version: str, *, keep_alive: bool) -> None:
        try:
            self._cold = self._bridge.request(
                self, method=self._parser.get_method(), url=self._url, headers=self._headers,
                http_version=http_version, keep_alive=keep_alive,
            )  # fmt: skip
        except (httptools.HttpParserInvalidURLError, UnicodeError):
            self._refuse_connection(Invalid("router.malformed-http", "This is no address of a request"))
        else:
            self._take_turn(self._cold)

    def on_body(self, body: bytes) -> None:
        hot = self._hot
        if hot is None:
            if self._cold is not None:
                self._cold.feed(body)
            return
        hot.size += len(body)
        if hot.size <= self._door.limits.body_bytes:
            hot.body.append(body)
        elif not self._failed:
            most = self._door.limits.body_bytes
            hot.body.clear()
            self._hot = None
            self._refuse_connection(BodyTooLarge("router.body-too-large", f"a request has at most {most} bytes"))

    def on_message_complete(self) -> None:
        self._parsing = False
        if self._failed:
            return
        hot, self._hot = self._hot, None
        cold, self._cold = self._cold, None
        if hot is not None:
            self._take_turn(hot)
        elif cold is not None:
            cold.complete()
        self._be_patient()

    # one request after the other

    def _complete(self, request: HotRequest) -> None:
        self._take_turn(request)
        self._be_patient()

    def _take_turn(self, request: HotRequest | ColdRequest) -> None:
        if self._sending is None and self._stalled_at == _NEVER:
            self._start(request)
            return
        self._queue.append(request)
        if len(self._queue) >= _MOST_PIPELINED and self._reading and self._transport is not None:
            self._reading = False
            self._transport.pause_reading()

    def _start(self, request: HotRequest | ColdRequest) -> None:
        self._sending = request
        self._keep_alive = request.keep_alive and not self._failed and self._keep_alive
        if isinstance(request, ColdRequest):
            request.start()
            return
        try:
            if request.refusal is not None:
                raise request.refusal  # noqa: TRY301 - refused as by everything below
            caller = self._admit(request.headers)
        except PlatformError as error:
            self.refuse(error)
        except Exception:  # noqa: BLE001 - a fault of ours is an answer too, and not the end of the worker
            self.refuse(fault_of_ours(request.endpoint))
        else:
            body = request.body[0] if len(request.body) == 1 else b"".join(request.body)
            self._ask = Ask(request.endpoint, body, request.headers, caller, self)
            self._door.answering.arrive(self._ask)

    def _admit(self, headers: dict[bytes, bytes]) -> Caller:
        guard, address = self._door.guard, self._peer
        if b"x-forwarded-for" in headers:
            address = guard.address_of(address, headers[b"x-forwarded-for"].decode("latin-1"))
        return guard.admit(headers.get(b"authorization"), address, now=_time())

    def cold_ended(self, request: ColdRequest, *, keep_alive: bool) -> None:
        """The application has answered."""
        if self._sending is request:
            self._keep_alive = self._keep_alive and keep_alive
            self._next()

    def _next(self) -> None:
        """Goes on with what the connection's client asked next."""
        self._sending = self._ask = None
        if not self._failed:
            self.deadline = min(_monotonic() + self._door.limits.idle_s, self._stalled_at)
        transport = self._transport
        assert transport is not None
        if not self._keep_alive:
            if not self._failed:
                self._close_gently()
            elif not transport.is_closing():
                transport.close()
        self._go_on()

    def _go_on(self) -> None:
        """Starts what was asked next, but not while answers pile up that the client does not read."""
        transport = self._transport
        assert transport is not None
        if self._queue and self._stalled_at == _NEVER and not transport.is_closing():
            self._start(self._queue.popleft())
        if not self._reading and len(self._queue) < _MOST_PIPELINED and not transport.is_closing():
            self._reading = True
            transport.resume_reading()

    def _be_patient(self) -> None:
        """A client that has sent a request may wait; one that has not should, and one that must read."""
        if self._sending is None and not self._failed:
            self.deadline = min(_monotonic() + self._door.limits.idle_s, self._stalled_at)
        elif not self._failed:
            self.deadline = self._stalled_at

    # the reply of an exchange

    def whole(self, status: int, headers: bytes, body: bytes) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        head = whole_head(status, self._common_lines(), headers, len(body), kept=self._keep_alive)
        if len(body) < _JOINED_BYTES:
            self._transport.write(head + body)
        else:
            self._transport.writelines([head, body])
        self._count(status)
        self._next()

    def start(self, status: int, headers: bytes) -> None:
        if self._transport is None:
            return
        if self._stalled_at != _NEVER and self._ask is not None and self._ask.exchange is not None:
            self._ask.exchange.pause()
        self._chunked = self._parser.get_http_version() != "1.0"
        if not self._chunked:  # the end of the connection is the answer's
            self._keep_alive = False
        common, kept = self._common_lines(), self._keep_alive
        self._transport.write(stream_head(status, common, headers, kept=kept, chunked=self._chunked))
        self._count(status)

    def write(self, chunk: bytes) -> None:
        if self._transport is not None:
            self._transport.write(framed(chunk) if self._chunked else chunk)

    def end(self, chunk: bytes) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        if not self._chunked:
            self._transport.write(chunk)
        elif chunk:
            self._transport.write(framed(chunk) + b"0\r\n\r\n")
        else:
            self._transport.write(b"0\r\n\r\n")
        self._next()

    def refuse(self, error: PlatformError) -> None:
        status, headers, body = error_answer(error)
        self.whole(status, lines_of(headers), body)

    def _common_lines(self) -> bytes:
        return self._door.common_lines(self._state.default_headers)

    def _count(self, status: int) -> None:
        if isinstance(self._sending, HotRequest):
            self._door.count(self._sending.endpoint, status)

    def _expect(self, headers: Mapping[bytes, bytes]) -> None:
        """100 Continue (RFC 9110, 10.1.1), unless what would follow is too large anyway."""
        most = self._door.limits.body_bytes
        length = headers.get(b"content-length", b"0")
        if length.isdigit() and int(length) > most:
            self._hot = None
            self._refuse_connection(BodyTooLarge("router.body-too-large", f"a request has at most {most} bytes"))
        elif self._sending is None and self._transport is not None:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    # the end

    def _refuse_connection(self, error: PlatformError) -> None:
        """Says what is wrong, after the answers that are on their way, and closes."""
        if self._failed:
            return
        self._failed = True
        self._keep_alive = False
        if self._sending is None:
            self._sending = HotRequest(Endpoint.CHAT, {}, keep_alive=False)
            status, headers, body = error_answer(error)
            assert self._transport is not None
            head = whole_head(status, self._common_lines(), lines_of(headers), len(body), kept=False)
            self._transport.write(head + body)
            self._linger()

    def _close_gently(self) -> None:
        self._failed = True
        assert self._transport is not None
        if not self._transport.is_closing():
            self._transport.close()

    def _linger(self) -> None:
        """Lets the client read the refusal: a connection that is closed over unread bytes is reset."""
        self.deadline = _monotonic() + _LINGER_S
        assert self._transport is not None
        if self._transport.can_write_eof() and not self._transport.is_closing():
            self._transport.write_eof()

    def expire(self) -> None:
        """Patience with the client has ended."""
        self.deadline = _NEVER
        if self._transport is not None:
            self._transport.abort()

    def shutdown(self) -> None:
        """No further request is taken; what is being answered goes on (uvicorn calls this when it stops).

        A new connection may bring its first request, and one that is arriving may arrive.
        """
        self._keep_alive = False
        self._queue.clear()
        if self._sending is not None or self._transport is None:
            return
        if not self._url or self._head_bytes or self._hot is not None or self._cold is not None:
            self.deadline = min(self.deadline, _monotonic() + _LINGER_S)
        else:
            self._transport.close()

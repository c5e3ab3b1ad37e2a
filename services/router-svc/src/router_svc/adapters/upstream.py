"""The servers that answer: which replica is asked, how long it has, and who is asked after it."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import structlog

from router_svc.adapters.connections import Server, ServerConnection
from router_svc.adapters.failures import BackendFailed, EndpointUnserved
from router_svc.adapters.metrics import UPSTREAM_FAILURES
from router_svc.domain.balancing import Candidate, choose
from router_svc.domain.breaking import Breaker, BreakerRules, Standing
from router_svc.domain.snapshot import Target

_log = structlog.get_logger()
_UNSERVED: Final = frozenset({404, 405, 501})
_NEVER: Final = float("inf")
_clock: Final = time.perf_counter
_UNSERVED_REASON = "endpoint-not-served"
_CLIENTS_FAULT: Final = frozenset({400, 413, 422})  # another server would say the same: the client gets the answer
_JOINED_BYTES: Final = 32_768  # below it one buffer costs less than a system call with several
_FORGET_AFTER_CHECKS = 120  # health checks without a request after which a server is not watched any more


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamRules:
    """Patience with servers, in seconds.

    Attributes:
        first_byte_s: From sending the request to the first byte of a stream, or to the whole of another answer.
        check_every_s: Between two health checks of a server; 0: none.
        hedge_after_s: Without a first byte for so long, another replica is asked too; None: never.
    """

    connect_s: float
    first_byte_s: float
    between_chunks_s: float
    check_every_s: float = 5.0
    hedge_after_s: float | None = None
    breaker: BreakerRules


class Whole:
    """An answer that came as one."""

    __slots__ = ("body", "content_type", "extras", "status")

    def __init__(self, status: int, content_type: bytes, extras: list[tuple[bytes, bytes]], body: bytes) -> None:
        self.status = status
        self.content_type = content_type
        self.extras = extras
        self.body = body


class Listener(Protocol):
    """Who hears what becomes of a call. After `answered`, `ended`, `failed` or `broken` nothing more comes."""

    def answered(self, answer: Whole) -> None: ...
    def begun(self, connection: ServerConnection) -> None: ...
    def piece(self, chunk: bytes) -> None: ...
    def ended(self) -> None: ...
    def failed(self, error: BackendFailed) -> None: ...
    def broken(self) -> None: ...


class _Opening:
    """Stands for a connection that is being opened."""

    whole = False

    def abort(self) -> None:
        """Whoever opens it sees that nobody waits for it any more."""


class _Replica:
    """A served model on one server: the model may be broken where its server is not."""

    __slots__ = ("breaker", "server")

    def __init__(self, server: Server, rules: BreakerRules) -> None:
        self.server = server
        self.breaker = Breaker(rules)

    def candidate(self, now: float) -> Candidate:
        standing = self.breaker.standing(now)
        if standing is Standing.GOOD and not self.server.healthy:
            standing = Standing.RESTING
        return Candidate(self.server.name, self.server.outstanding, standing, self.breaker.share_0_1(now))


class Inquiry:
    """What a variant is asked.

    Attributes:
        path: Below the server's address.
        headers: Further lines of the head, each with its end.
        body: Pieces of the body, in order.
        conversation: What tells this conversation from others; its replica has its prefix in a cache.
        may_lack: Whether a server that does not know the path is as good as any.
    """

    __slots__ = ("body", "conversation", "headers", "may_lack", "path", "target")

    def __init__(
        self, target: Target, *, path: str, headers: bytes, body: list[bytes], conversation: bytes | None = None,
        may_lack: bool = False,
    ) -> None:  # fmt: skip
        self.target = target
        self.path = path
        self.headers = headers
        self.body = body
        self.conversation = conversation
        self.may_lack = may_lack


class Call:
    """One inquiry at the replicas of one variant, until one of them begins an answer.

    Attributes:
        hedge_at: When another replica is asked too.
        sent_s: When the request was last sent, by the performance counter.
    """

    __slots__ = ("_closed", "_connections", "_held", "_inquiry", "_left", "_listener", "_reason", "_upstream", "_winner",
                 "hedge_at", "sent_s")  # fmt: skip

    def __init__(self, upstream: "Upstream", inquiry: Inquiry, listener: Listener) -> None:
        self._upstream = upstream
        self._inquiry = inquiry
        self._listener = listener
        self._left = upstream.replicas(inquiry.target)
        self._connections: dict[ServerConnection | _Opening, _Replica] = {}
        self._held: dict[ServerConnection | _Opening, list[bytes]] = {}  # parts of answers that are no streams
        self._winner: ServerConnection | None = None
        self._closed = False
        self._reason = "no server is known"
        self.hedge_at = _NEVER
        self.sent_s = 0.0

    def ask_next(self) -> bool:
        """Asks the best replica that was not asked yet; False if there is none."""
        now = self._upstream.now()
        left = self._left
        if len(left) == 1:
            place = None if left[0].breaker.standing(now) is Standing.OPEN else 0
        else:
            place = choose([replica.candidate(now) for replica in left], self._inquiry.conversation)
        if place is None:
            return False
        replica = left.pop(place)
        replica.breaker.asked(now)
        replica.server.outstanding += 1
        hedge_after_s = self._upstream.rules.hedge_after_s
        if hedge_after_s is not None:
            self.hedge_at = now + hedge_after_s
        connection = replica.server.take_idle()
        if connection is None:
            self._dial(replica)
        else:
            self._send(connection, replica, now)
        return True

    def hedge(self) -> None:
        """Asks one other replica too; whichever begins first has the request."""
        if self._winner is None and not self._closed:
            self.ask_next()
        self.hedge_at = _NEVER

    def close(self) -> None:
        """Gives up: every server that is still busy with it is left at once."""
        self._closed = True
        for connection, replica in self._connections.items():
            replica.server.outstanding -= 1
            if not connection.whole:
                connection.abort()
        self._connections.clear()
        if self._upstream.rules.hedge_after_s is not None:
            self._upstream.done(self)

    def pause(self) -> None:
        if self._winner is not None and not self._closed:
            self._winner.pause()

    def resume(self) -> None:
        if self._winner is not None and not self._closed:
            self._winner.resume(deadline=self._upstream.now() + self._upstream.rules.between_chunks_s)

    # what connections report

    def received(self, connection: ServerConnection, body: bytes) -> None:
        if self._winner is not connection:
            self._judge(connection, body)
            return
        if body:
            self._listener.piece(body)
        if self._closed:  # the listener left
            return
        if connection.whole:
            self.close()
            self._listener.ended()
        elif connection.deadline != _NEVER:
            upstream = self._upstream
            connection.deadline = upstream.now() + upstream.rules.between_chunks_s

    def _judge(self, connection: ServerConnection, body: bytes) -> None:
        """Whether this is an answer to be passed on, once its head has come."""
        if connection.status == 200 and connection.whole and not connection.streamed:
            self._answer(connection, body)
        elif connection.status in _UNSERVED and self._inquiry.may_lack:
            self._pass_over(connection)
        elif connection.status >= 300 and connection.status not in _CLIENTS_FAULT:
            self._drop(connection, f"status-{connection.status}")
        elif connection.streamed:
            self._begin(connection, body)
        elif not connection.whole:
            self._held.setdefault(connection, []).append(body)
        else:
            self._answer(connection, body)

    def lost(self, connection: ServerConnection, reason: str) -> None:
        if self._winner is connection:
            self._upstream.count_failure(self._connections[connection], reason)
            self.close()
            self._listener.broken()
        elif connection.used and connection.status == 0 and reason == "disconnected":
            # a kept connection that turns out to be closed says nothing about the server
            self._dial(self._connections.pop(connection))
        else:
            self._drop(connection, reason)

    def _dial(self, replica: _Replica) -> None:
        opening = _Opening()
        self._connections[opening] = replica
        self._upstream.spawn(self._connect(replica, opening))

    async def _connect(self, replica: _Replica, opening: _Opening) -> None:
        try:
            connection = await replica.server.connect(timeout_s=self._upstream.rules.connect_s)
        except (OSError, TimeoutError) as error:
            self._upstream.note_absent(replica.server)
            if opening in self._connections:
                self._drop(opening, type(error).__name__)
            return
        if self._connections.pop(opening, None) is None:  # given up meanwhile
            replica.server.idle.append(connection)
        else:
            self._send(connection, replica, self._upstream.now())

    def _send(self, connection: ServerConnection, replica: _Replica, now: float) -> None:
        self._connections[connection] = replica
        inquiry = self._inquiry
        self.sent_s = _clock()
        body = inquiry.body
        body_bytes = 0
        for piece in body:
            body_bytes += len(piece)
        head = b"%b%d\r\n%b\r\n" % (replica.server.head("POST", inquiry.path), body_bytes, inquiry.headers)
        request = [head, *body]
        deadline = now + self._upstream.rules.first_byte_s
        connection.ask(self, [b"".join(request)] if body_bytes < _JOINED_BYTES else request, deadline=deadline)

    def _drop(self, connection: ServerConnection | _Opening, reason: str) -> None:
        """This replica did not begin; the next one may."""
        replica = self._leave(connection)
        self._upstream.count_failure(replica, reason)
        self._reason = reason
        self._go_on()

    def _pass_over(self, connection: ServerConnection) -> None:
        """This replica lacks the endpoint, which is no fault of its: else who asks for it could have it rested."""
        self._leave(connection)
        self._reason = _UNSERVED_REASON
        self._go_on()

    def _leave(self, connection: ServerConnection | _Opening) -> _Replica:
        replica = self._connections.pop(connection)
        replica.server.outstanding -= 1
        self._held.pop(connection, None)
        if not connection.whole:
            connection.abort()
        return replica

    def _go_on(self) -> None:
        if not self._connections and not self.ask_next():
            self._closed = True
            self._upstream.done(self)
            self._listener.failed(self._failure())

    def _failure(self) -> BackendFailed:
        if self._reason == _UNSERVED_REASON:
            path = self._inquiry.path
            return EndpointUnserved("router.endpoint-not-served", f"The model's server does not serve {path}")
        return BackendFailed("router.backend-failed", "no server of this variant answered", reason=self._reason)

    def _answer(self, connection: ServerConnection, body: bytes) -> None:
        if self._held:
            body = b"".join([*self._held.pop(connection, ()), body])
        if not body:
            self._drop(connection, "empty-answer")
            return
        self._connections[connection].breaker.succeeded(self._upstream.now())
        answer = Whole(connection.status, connection.content_type, connection.extras, body)
        self.close()
        self._listener.answered(answer)

    def _begin(self, connection: ServerConnection, body: bytes) -> None:
        if not body:
            if connection.whole:
                self._drop(connection, "empty-answer")
            return
        self._winner = connection
        self._connections[connection].breaker.succeeded(self._upstream.now())
        for other in [one for one in self._connections if one is not connection]:
            self._connections.pop(other).server.outstanding -= 1
            other.abort()
        self._listener.begun(connection)
        self.received(connection, body)


class Upstream:
    """Asks servers, over connections that are kept."""

    def __init__(self, rules: UpstreamRules, *, clock: Callable[[], float]) -> None:
        self.rules = rules
        self.now = clock
        self._servers: dict[str, Server] = {}
        self._replicas: dict[tuple[str, str], _Replica] = {}
        self._replicas_of: dict[tuple[Sequence[str], str], list[_Replica]] = {}  # of whole targets
        self._calls: set[Call] = set()  # only those that may be hedged
        self._tasks: set[asyncio.Task[None]] = set()
        self._unused_checks: dict[str, int] = {}

    def call(self, inquiry: Inquiry, listener: Listener) -> Call | None:
        """Asks; None if no replica can be asked now, and then the listener hears nothing."""
        call = Call(self, inquiry, listener)
        if not call.ask_next():
            return None
        if self.rules.hedge_after_s is not None:
            self._calls.add(call)
        return call

    async def ask(self, inquiry: Inquiry) -> Whole:
        """The whole answer of a variant, for questions off the request path; a stream comes as one body.

        Raises:
            BackendFailed: nobody answered, or an answer broke off.
        """
        waiting = _Waiting()
        call = self.call(inquiry, waiting)
        if call is None:
            raise BackendFailed("router.backend-failed", "no server of this variant can be asked now")
        try:
            return await waiting.future
        finally:
            if not waiting.over:
                call.close()

    async def run(self) -> None:
        """Checks the servers' health, and closes every connection at the end."""
        try:
            while True:
                await asyncio.sleep(self.rules.check_every_s or 3600)
                if self.rules.check_every_s:
                    await asyncio.gather(*(self._check(server) for server in [*self._servers.values()]))
        finally:
            for server in self._servers.values():
                server.close()

    def sweep(self, now: float) -> None:
        """Ends what took too long, and hedges."""
        for server in [*self._servers.values()]:
            server.sweep(now)
        for call in [one for one in self._calls if one.hedge_at <= now]:
            call.hedge()

    def replicas(self, target: Target) -> list[_Replica]:
        """Those of a target, in a list of its own for who asks."""
        known = self._replicas_of.get((target.backend_urls, target.served_name))
        if known is None:
            known = [self._replica(url, target.served_name) for url in target.backend_urls]
            self._replicas_of[target.backend_urls, target.served_name] = known
        return known.copy()

    def _replica(self, url: str, served_name: str) -> _Replica:
        replica = self._replicas.get((url, served_name))
        if replica is None:
            server = self._servers.setdefault(url, Server(url))
            replica = self._replicas[url, served_name] = _Replica(server, self.rules.breaker)
        return replica

    def count_failure(self, replica: _Replica, reason: str) -> None:
        replica.breaker.failed(self.now())
        UPSTREAM_FAILURES.labels(replica.server.url, reason).inc()

    def note_absent(self, server: Server) -> None:
        """Nobody is there: as good as a health check, which will tell when somebody is again."""
        if self.rules.check_every_s:
            server.healthy = False

    def done(self, call: Call) -> None:
        self._calls.discard(call)

    def spawn(self, body: Coroutine[object, object, None]) -> None:
        task = asyncio.get_running_loop().create_task(body)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _check(self, server: Server) -> None:
        """GET /health; what answers at all, other than by an error of its own, lives."""
        healthy = await self._is_healthy(server) or await self._is_healthy(server)  # a kept connection may be closed
        if healthy != server.healthy:
            server.healthy = healthy
            _log.warning("backend.health", backend=server.url, healthy=healthy)
            if healthy:
                for replica in [one for one in self._replicas.values() if one.server is server]:
                    replica.breaker.revived(self.now())
        self._forget_unused(server)

    async def _is_healthy(self, server: Server) -> bool:
        probe = _Probe()
        try:
            connection = server.take_idle() or await server.connect(timeout_s=self.rules.connect_s)
            connection.ask(
                probe, [server.head("GET", "/health"), b"0\r\n\r\n"], deadline=self.now() + self.rules.connect_s + 3
            )
            return await probe.future < 500
        except (OSError, TimeoutError):
            return False

    def _forget_unused(self, server: Server) -> None:
        used = server.outstanding > 0 or bool(server.idle)
        self._unused_checks[server.url] = 0 if used else self._unused_checks.get(server.url, 0) + 1
        if self._unused_checks[server.url] > _FORGET_AFTER_CHECKS:
            del self._servers[server.url], self._unused_checks[server.url]
            gone: Iterable[tuple[str, str]] = [key for key in self._replicas if key[0] == server.url]
            for key in gone:
                del self._replicas[key]
            self._replicas_of.clear()
            server.close()


class _Probe:
    """Waits for the status of one answer."""

    def __init__(self) -> None:
        self.future: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def received(self, connection: ServerConnection, body: bytes) -> None:
        del body
        if connection.whole and not self.future.done():
            self.future.set_result(connection.status)

    def lost(self, connection: ServerConnection, reason: str) -> None:
        del connection
        if not self.future.done():
            self.future.set_exception(ConnectionError(reason))


class _Waiting:
    """A listener that gathers the whole answer."""

    def __init__(self) -> None:
        self.future: asyncio.Future[Whole] = asyncio.get_running_loop().create_future()
        self.over = False
        self._head: tuple[int, bytes, list[tuple[bytes, bytes]]] = (200, b"", [])
        self._pieces: list[bytes] = []

    def answered(self, answer: Whole) -> None:
        self.over = True
        if not self.future.done():
            self.future.set_result(answer)

    def begun(self, connection: ServerConnection) -> None:
        self._head = (connection.status, connection.content_type, connection.extras)

    def piece(self, chunk: bytes) -> None:
        self._pieces.append(chunk)

    def ended(self) -> None:
        self.answered(Whole(*self._head, b"".join(self._pieces)))

    def failed(self, error: BackendFailed) -> None:
        self.over = True
        if not self.future.done():
            self.future.set_exception(error)

    def broken(self) -> None:
        self.failed(BackendFailed("router.stream-broken", "the model's server stopped in its answer"))

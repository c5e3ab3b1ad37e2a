"""Takes inference requests in: who asks what of whom, and whether there is room for it now.

Those that come in one turn of the event loop take each step together: a step's code is in the processor's caches for all
of them but the first.
"""

import asyncio
import secrets
import time
from collections.abc import Callable, Mapping
from typing import Final

import structlog

from loopwright.errors import PlatformError, ServingUnavailable
from router_svc.adapters.metrics import IN_FLIGHT, OVERLOADED
from router_svc.adapters.tracing import Trail
from router_svc.domain.asking import Prompt
from router_svc.domain.callers import Caller
from router_svc.domain.endpoints import apply_task
from router_svc.domain.headers import for_upstream, lines_of
from router_svc.domain.limits import refuse_many_tokens
from router_svc.domain.questions import Endpoint, Question, read_question, refuse_prompt_likelihoods
from router_svc.domain.snapshot import Route
from router_svc.domain.units import UnitSource, unit_of
from router_svc.handlers.enriching import enrich
from router_svc.handlers.exchange import Exchange, Reply
from router_svc.handlers.recording import Journal
from router_svc.handlers.serving import Serving
from router_svc.handlers.shadowing import Shadowing

_log = structlog.get_logger()
_SWEEP_S = 0.05
_time: Final = time.time
_time_ns: Final = time.time_ns
_clock: Final = time.perf_counter
_UNIT: Final = b"x-loopwright-unit"
_SPANS: Final = {endpoint: f"POST /v1/{endpoint}" for endpoint in Endpoint}
_SESSION_COOKIE = "loopwright-session="


class Ask:
    """One request as it came, and what becomes of it on its way to a model.

    Attributes:
        headers: Names in lower case.
        caller: Was counted in; is counted out with the answer or the refusal.
        gone: Whether nobody waits for the answer any more.
        exchange: From when it is known what is asked of whom.
    """

    __slots__ = ("body", "caller", "endpoint", "exchange", "gone", "headers", "prompt", "question", "reply", "route",
                 "started_ns", "started_s", "unit_hash")  # fmt: skip

    def __init__(
        self, endpoint: Endpoint, body: bytes, headers: dict[bytes, bytes], caller: Caller, reply: Reply
    ) -> None:
        self.endpoint = endpoint
        self.body = body
        self.headers = headers
        self.caller = caller
        self.reply = reply
        self.started_ns, self.started_s = _time_ns(), _clock()
        self.gone = False
        self.question: Question | None = None
        self.unit_hash = ""
        self.route: Route | None = None
        self.prompt: Prompt | None = None
        self.exchange: Exchange | None = None

    def abandon(self) -> None:
        """Nobody waits any more; does nothing to what has ended."""
        self.gone = True
        if self.exchange is not None:
            self.exchange.abandon()

    def refuse(self, error: PlatformError) -> None:
        """Ends what was never asked of a model: nothing of it is left to abandon, or to put on record."""
        self.exchange = None
        self.caller.leave(_time())
        self.reply.refuse(error)


class Gate:
    """Holds the requests in flight; of those that are too many, some wait for a while."""

    def __init__(self, *, in_flight: int, waiting: int, wait_s: float) -> None:
        self._limit = in_flight
        self._most_waiting = waiting
        self._wait_s = wait_s
        self._inside: set[Exchange] = set()
        self._waiting: dict[Exchange, float] = {}  # until when; in the order of their coming

    def require_room(self) -> None:
        """Refuses what could not even wait.

        Raises:
            ServingUnavailable: too many wait.
        """
        if len(self._inside) >= self._limit and len(self._waiting) >= self._most_waiting:
            raise _overloaded()

    def enter(self, exchange: Exchange) -> None:
        """Lets it ask now, or when another has left."""
        if len(self._inside) < self._limit:
            self._inside.add(exchange)
            exchange.ask()
        else:
            self._waiting[exchange] = time.monotonic() + self._wait_s

    def leave(self, exchange: Exchange) -> None:
        self._inside.discard(exchange)
        if not self._waiting:
            return
        self._waiting.pop(exchange, None)
        while self._waiting and len(self._inside) < self._limit:
            after = next(iter(self._waiting))
            del self._waiting[after]
            if not after.over:
                self._inside.add(after)
                after.ask()

    def sweep(self, now: float) -> None:
        """Refuses those that have waited long enough."""
        IN_FLIGHT.set(len(self._inside))
        for exchange in [one for one, until in self._waiting.items() if until <= now]:
            del self._waiting[exchange]
            exchange.stop(_overloaded())

    def close(self) -> None:
        """Ends everybody."""
        for exchange in [*self._inside, *self._waiting]:
            exchange.stop(ServingUnavailable("router.stopping", "the router is being restarted; try again shortly"))


def _overloaded() -> ServingUnavailable:
    OVERLOADED.inc()
    return ServingUnavailable("router.overloaded", "too many requests are being answered; try again shortly")


class Answering:
    """The door behind the door: turns requests into exchanges, and looks after them."""

    def __init__(self, serving: Serving) -> None:
        limits = serving.limits
        self._serving = serving
        self._user_first = serving.unit_order[0] is UnitSource.USER
        self._gate = Gate(in_flight=limits.in_flight, waiting=limits.waiting, wait_s=limits.wait_s)
        self._journal = Journal(serving.spool, event_bytes=limits.event_bytes)
        self._shadowing = Shadowing(serving, self._journal, most=limits.shadows, most_bytes=limits.shadow_bytes)
        self._steps: tuple[Callable[[Ask], None], ...] = (
            self._read,
            self._assign,
            self._apply,
            self._open,
            self._enter,
        )
        self._turning = False  # one request of this turn of the loop was taken
        self._arrived: list[Ask] = []  # the others
        self._begun: list[Exchange] = []  # that have time until their answers come

    def arrive(self, ask: Ask) -> None:
        """Takes the first request of a turn of the loop at once, the others together when all have come.

        It is answered or refused through its reply; the event will be on this disk before the last byte leaves.
        """
        if self._turning:
            self._arrived.append(ask)
            return
        self._turning = True
        asyncio.get_running_loop().call_soon(self._turn_over)
        self._take([ask])

    def _take(self, asks: list[Ask]) -> None:
        """Begins to answer, step by step."""
        for step in self._steps:
            asks = _passed(step, asks)

    def _turn_over(self) -> None:
        """The others' turn; then, while models think, what need not be done before they are asked."""
        self._turning = False
        if self._arrived:
            arrived, self._arrived = self._arrived, []
            self._take(arrived)
        begun, self._begun = self._begun, []
        for exchange in begun:
            exchange.prepare()

    def _read(self, ask: Ask) -> None:
        if not self._serving.board.loaded:
            raise ServingUnavailable("router.not-ready", "the router does not know the tasks yet")
        question = read_question(ask.endpoint, ask.body)
        if not self._serving.limits.prompt_likelihoods:
            refuse_prompt_likelihoods(question)
        if ask.caller.max_tokens is not None:
            refuse_many_tokens(question.fields, most=ask.caller.max_tokens)
        ask.question = question

    def _assign(self, ask: Ask) -> None:
        question, serving = ask.question, self._serving
        assert question is not None
        unit = self._unit(ask, question)
        ask.unit_hash = serving.ids.hash_unit(unit)
        route = serving.board.route(question.model, unit, ask.unit_hash)
        ask.caller.require_task(route.task.task_id)
        ask.route = route

    def _apply(self, ask: Ask) -> None:
        question, route = ask.question, ask.route
        assert question is not None
        assert route is not None
        ask.prompt = apply_task(route.task, question)

    def _open(self, ask: Ask) -> None:
        serving, route, prompt, started_ns = self._serving, ask.route, ask.prompt, ask.started_ns
        assert route is not None
        assert prompt is not None
        trail = serving.tracing.begin(ask.headers.get(b"traceparent"), name=_SPANS[ask.endpoint], started_ns=started_ns)
        ask.exchange = Exchange(
            serving, journal=self._journal, room=self._gate, reply=ask.reply, caller=ask.caller, route=route,
            prompt=prompt, unit_hash=ask.unit_hash, trail=trail, started_ns=started_ns, started_s=ask.started_s,
            forwarded=_forwarded(ask.headers, trail), after=None if route.shadow is None else self._shadowing.copy,
        )  # fmt: skip

    def _enter(self, ask: Ask) -> None:
        exchange, question, serving = ask.exchange, ask.question, self._serving
        assert exchange is not None
        assert question is not None
        if ask.gone:  # in this very turn
            ask.caller.leave(_time())
            return
        self._gate.require_room()
        looked_up = exchange.route.task.retrieval is not None and ask.endpoint is not Endpoint.EMBEDDINGS
        if looked_up and serving.library is not None:
            serving.upstream.spawn(self._enter_enriched(exchange, question, exchange.prompt.user_input))
        else:
            self._gate.enter(exchange)
            self._begun.append(exchange)  # what is looked up first still gets its prompt

    async def _enter_enriched(self, exchange: Exchange, question: Question, user_input: str | None) -> None:
        """Looks similar cases up first; what cannot be had in time is not waited for."""
        try:
            task = await enrich(exchange.route.task, user_input, self._serving.library)
            prompt = apply_task(task, question)
        except PlatformError as error:
            exchange.stop(error)
            return
        if not exchange.over:
            exchange.prompt = prompt
            self._gate.enter(exchange)

    async def run(self) -> None:
        """Watches over time; at the end, whatever still runs is ended and on record."""
        try:
            while True:
                await asyncio.sleep(_SWEEP_S)
                self._serving.upstream.sweep(self._serving.upstream.now())
                self._gate.sweep(time.monotonic())
        finally:
            self._shadowing.close()
            self._gate.close()
            self._journal.close()

    def _unit(self, ask: Ask, question: Question) -> str:
        if question.user is not None and self._user_first:
            return question.user
        header, cookies = ask.headers.get(_UNIT), ask.headers.get(b"cookie")
        unit = unit_of(
            self._serving.unit_order,
            user=question.user,
            header=None if header is None else header.decode("latin-1") or None,
            claim=ask.caller.unit,
            cookie=None if cookies is None else _session(cookies.decode("latin-1")),
        )
        return unit or f"anonymous-{secrets.token_hex(16)}"


def _passed(step: Callable[[Ask], None], asks: list[Ask]) -> list[Ask]:
    """Those that a step lets pass; the others have heard why not."""
    passed: list[Ask] = []
    for ask in asks:
        try:
            step(ask)
        except PlatformError as error:
            ask.refuse(error)
        except Exception:  # noqa: BLE001 - a fault of ours is an answer too, and not the end of the worker
            ask.refuse(fault_of_ours(ask.endpoint))
        else:
            passed.append(ask)
    return passed


def fault_of_ours(endpoint: Endpoint) -> PlatformError:
    """Writes the error down that is being handled; returns what its client hears of it."""
    _log.exception("http.unknown-error", path=f"/v1/{endpoint}")
    return PlatformError("internal", "the router failed; this was written down")


def _session(cookies: str) -> str | None:
    """Value of our session cookie (RFC 6265, 4.2)."""
    for cookie in cookies.split(";"):
        if (pair := cookie.strip()).startswith(_SESSION_COOKIE):
            return pair.removeprefix(_SESSION_COOKIE)[:500] or None
    return None


def _forwarded(headers: Mapping[bytes, bytes], trail: Trail) -> bytes:
    """Lines of the upstream request's head that the client or its trace brought."""
    lines = b"" if trail.traceparent is None else b"traceparent: %b\r\n" % trail.traceparent.encode()
    if b"tracestate" in headers or b"x-request-id" in headers:
        passed = [header for header in for_upstream(headers.items()) if header[0] != b"traceparent"]
        lines += lines_of(passed)
    return lines

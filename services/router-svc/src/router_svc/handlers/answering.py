"""Answers one inference request: route it, ask a model, pass its bytes on, put the event on record, end."""

import asyncio
import secrets
from dataclasses import dataclass
from typing import Protocol

from opentelemetry import trace

from loopwright.errors import ServingUnavailable
from loopwright.telemetry import current_traceparent
from router_svc.adapters.metrics import IN_FLIGHT, OVERLOADED
from router_svc.adapters.upstream import BackendFailed, StreamBroken, UpstreamAnswer
from router_svc.domain.prompts import apply_task
from router_svc.domain.questions import Endpoint, read_question, refuse_prompt_likelihoods
from router_svc.domain.splicing import StreamSplicer, with_id
from router_svc.handlers.recording import record_completed
from router_svc.handlers.serving import BROKEN_OFF, CLIENT_GONE, Exchange, Serving, open_exchange

Headers = list[tuple[bytes, bytes]]
_STREAM_BROKEN = (
    b'data: {"error":{"message":"the model\'s server stopped in its answer","type":"server_error","param":null,'
    b'"code":"router.stream-broken"}}\n\n'
)


class Reply(Protocol):
    """Where an answer goes; whoever speaks HTTP with the client implements it."""

    async def start(self, status: int, headers: Headers) -> None: ...
    async def write(self, chunk: bytes) -> None: ...
    async def end(self, chunk: bytes) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One request as it came.

    Attributes:
        unit: Unit that the client named in a header, if it did.
    """

    endpoint: Endpoint
    body: bytes
    unit: str | None


class Gate:
    """Counts the requests in flight."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._inside = 0

    def __enter__(self) -> None:
        if self._inside >= self._limit:
            OVERLOADED.inc()
            raise ServingUnavailable("router.overloaded", "too many requests are being answered; try again shortly")
        self._inside += 1
        IN_FLIGHT.set(self._inside)

    def __exit__(self, *_: object) -> None:
        self._inside -= 1
        IN_FLIGHT.set(self._inside)


async def answer(serving: Serving, ask: Ask, reply: Reply) -> None:
    """Answers a request; its event is on this disk before the last byte leaves.

    Raises:
        Invalid: the request cannot be read.
        NotFound: no such model.
        ServingUnavailable: nobody can answer now; nothing was sent to the client.
    """
    if not serving.board.loaded:
        raise ServingUnavailable("router.not-ready", "the router does not know the tasks yet")
    question = read_question(ask.endpoint, ask.body)
    if not serving.limits.prompt_likelihoods:
        refuse_prompt_likelihoods(question.fields)
    unit = question.user or ask.unit or f"anonymous-{secrets.token_hex(16)}"
    route = serving.board.snapshot.route(question.model, unit)
    exchange = open_exchange(serving, route, apply_task(route.task, question), unit=unit)
    try:
        last = await _pass_on(serving, exchange, reply)
    except asyncio.CancelledError:
        exchange.status = CLIENT_GONE
        raise
    finally:
        record_completed(serving, exchange)
    await reply.end(last)


async def _pass_on(serving: Serving, exchange: Exchange, reply: Reply) -> bytes:
    """Sends all of the answer but the end, which is returned."""
    upstream = await _begin(serving, exchange)
    exchange.streamed = upstream.streamed
    try:
        if upstream.streamed:
            last = await _pass_stream(serving, exchange, upstream, reply)
        else:
            exchange.keep(upstream.first, limit=serving.limits.copy_bytes)
            await reply.start(upstream.status, _headers(exchange, upstream))
            last = with_id(upstream.first, exchange.inference_id)
    except StreamBroken:
        exchange.status = BROKEN_OFF
        return _STREAM_BROKEN
    finally:
        upstream.close()
    exchange.status = upstream.status
    return last


async def _begin(serving: Serving, exchange: Exchange) -> UpstreamAnswer:
    """The first target that begins an answer: the assigned variant, else the champion."""
    failure: BackendFailed | None = None
    for target in exchange.route.targets:
        exchange.served = target
        try:
            return await serving.upstream.begin(
                target.backend_urls,
                exchange.prompt.endpoint,
                exchange.prompt.body_for(target),
                traceparent=current_traceparent(),
            )
        except BackendFailed as error:
            failure = error
            exchange.status = 503
    assert failure is not None
    raise failure


async def _pass_stream(serving: Serving, exchange: Exchange, upstream: UpstreamAnswer, reply: Reply) -> bytes:
    splicer = StreamSplicer(exchange.inference_id, drop_usage=exchange.prompt.adds_usage)
    await reply.start(upstream.status, _headers(exchange, upstream))
    async for chunk in upstream.chunks():
        exchange.keep(chunk, limit=serving.limits.copy_bytes)
        if piece := splicer.feed(chunk):
            await reply.write(piece)
    return splicer.finish()


def _headers(exchange: Exchange, upstream: UpstreamAnswer) -> Headers:
    trace.get_current_span().set_attributes(
        {"loopwright.inference_id": exchange.inference_id, "loopwright.variant_id": exchange.served.variant_id}
    )
    headers = [
        (b"content-type", upstream.content_type.encode("latin-1")),
        (b"x-loopwright-inference-id", exchange.inference_id.encode()),
        (b"x-loopwright-variant", exchange.served.variant_id.encode()),
    ]
    traceparent = current_traceparent()
    return headers if traceparent is None else [*headers, (b"traceparent", traceparent.encode())]

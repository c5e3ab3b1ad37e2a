"""Puts what happened on record: events into the spool, figures into the metrics."""

import time
from datetime import UTC, datetime

import structlog

from loopwright.contracts.base import ChatMessage, Event
from loopwright.contracts.envelope import seal
from loopwright.contracts.inferences import InferenceCompleted
from loopwright.contracts.registry import INFERENCE_COMPLETED, Party, topic_of
from loopwright.outbox import OutboxRecord
from loopwright.telemetry import current_traceparent
from router_svc.adapters.metrics import ANSWER_SECONDS, EVENTS_SHED, EVENTS_TRIMMED, FIRST_BYTE_SECONDS, INFERENCES
from router_svc.adapters.spool import SpoolFull
from router_svc.domain.answers import read_answer
from router_svc.handlers.serving import BROKEN_OFF, CLIENT_GONE, Exchange, Serving

_log = structlog.get_logger()


def sealed(event: Event) -> OutboxRecord:
    """A fact with its envelope, ready to send; its id is fixed here, however often it is sent."""
    topic = topic_of(event)
    envelope = seal(topic, source=Party.ROUTER, cause=None, traceparent=current_traceparent())
    return OutboxRecord(
        topic=topic.name,
        key=topic.key_of(event).encode(),
        value=event.model_dump_json().encode(),
        headers=envelope.to_headers(),
    )


def record_completed(serving: Serving, exchange: Exchange) -> None:
    """Puts the end of an exchange on record. A full spool sheds the event: users come first."""
    ended = time.perf_counter()
    _observe(exchange, ended)
    event = _completed(exchange, ended)
    record = sealed(event)
    assert record.value is not None
    if len(record.value) > serving.limits.event_bytes:
        EVENTS_TRIMMED.inc()
        record = sealed(event.model_copy(update={"input": None, "messages": None, "answer": None}))
    try:
        serving.spool.append([record])
    except SpoolFull as error:
        EVENTS_SHED.labels(INFERENCE_COMPLETED.name).inc()
        _log.error("event.shed", topic=INFERENCE_COMPLETED.name, code=error.code)


def _completed(exchange: Exchange, ended: float) -> InferenceCompleted:
    route, prompt = exchange.route, exchange.prompt
    answer = read_answer(b"".join(exchange.copy), streamed=exchange.streamed)
    keep = route.task.store_content
    messages = tuple(ChatMessage(role=turn.role, content=_storable(turn.text)) for turn in prompt.turns)
    return InferenceCompleted(
        inference_id=exchange.inference_id,
        task_id=route.task.task_id,
        task_version=route.task.version,
        experiment_id=route.experiment_id,
        variant_id=route.variant_id,
        served_variant_id=exchange.served.variant_id,
        pinned=route.pinned,
        fallback=exchange.fallback,
        unit_hash=exchange.unit_hash,
        input=_storable(prompt.user_input) if keep and prompt.user_input is not None else None,
        messages=messages if keep else None,
        answer=_storable(answer.text) if keep and answer.text is not None else None,
        http_status=exchange.status,
        finish_reason=answer.finish_reason,
        prompt_tokens=answer.prompt_tokens,
        completion_tokens=answer.completion_tokens,
        first_byte_ms=None if exchange.first_byte is None else (exchange.first_byte - exchange.started) * 1000,
        latency_ms=(ended - exchange.started) * 1000,
        completed_at=datetime.now(UTC),
    )


def _storable(text: str) -> str:
    """PostgreSQL keeps no U+0000; what stands for it is the replacement character."""
    return text.replace("\0", "\ufffd")


def _observe(exchange: Exchange, ended: float) -> None:
    task_id = exchange.route.task.task_id
    INFERENCES.labels(task_id, exchange.served.variant_id, _outcome(exchange)).inc()
    ANSWER_SECONDS.labels(task_id).observe(ended - exchange.started)
    if exchange.first_byte is not None:
        FIRST_BYTE_SECONDS.labels(task_id).observe(exchange.first_byte - exchange.started)


def _outcome(exchange: Exchange) -> str:
    match exchange.status:
        case _ if exchange.status < 400:
            return "fallback" if exchange.fallback else "answered"
        case status if status == CLIENT_GONE:
            return "gone"
        case status if status == BROKEN_OFF:
            return "broken"
        case status if status < 500:
            return "refused"
        case _:
            return "failed"

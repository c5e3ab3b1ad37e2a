"""Puts what happened on record: events into the spool, figures into the metrics."""

import asyncio
from datetime import UTC, datetime
from typing import Final, Protocol

import msgspec
import structlog

from loopwright.contracts.base import Event
from loopwright.contracts.envelope import Headers, seal
from loopwright.contracts.registry import INFERENCE_COMPLETED, Party, topic_of
from loopwright.outbox import OutboxRecord
from loopwright.telemetry import current_traceparent
from router_svc.adapters.failures import SpoolFull
from router_svc.adapters.metrics import EVENTS_SHED, EVENTS_TRIMMED
from router_svc.adapters.spool import Spool
from router_svc.domain.asking import json_of, members
from router_svc.domain.shapes import Completed, Texts

_log = structlog.get_logger()
_COMPLETED_CONSTANTS: Final[Headers] = (
    ("ce_specversion", "1.0"),
    ("ce_type", INFERENCE_COMPLETED.event_type),
    ("ce_source", f"/loopwright/{Party.ROUTER}"),
    ("ce_dataschema", f"loopwright:{INFERENCE_COMPLETED.event_type}"),
    ("content-type", "application/json"),
)


class Recordable(Protocol):
    """An exchange that has ended but for its last byte."""

    @property
    def traceparent(self) -> str | None: ...
    def read(self) -> None: ...
    def completed(self, now: str) -> tuple[Completed, Texts]: ...
    def finish(self) -> None: ...
    def observe(self) -> None: ...


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


def completed_record(completed: Completed, texts: Texts, *, traceparent: str | None, event_bytes: int) -> OutboxRecord:
    """The record of an inference. There is one event of each, so the inference's id is the event's too."""
    value = _value(completed, texts)
    if len(value) > event_bytes:
        EVENTS_TRIMMED.inc()
        completed.sealed_content = None
        value = _value(completed, Texts())
    inference_id = completed.inference_id
    headers: Headers = (
        *_COMPLETED_CONSTANTS,
        ("ce_id", inference_id),
        ("ce_time", completed.completed_at),
        ("ce_correlationid", inference_id),
    )
    if traceparent is not None:
        headers = (*headers, ("traceparent", traceparent))
    return OutboxRecord(topic=INFERENCE_COMPLETED.name, key=inference_id.encode(), value=value, headers=headers)


def _value(completed: Completed, texts: Texts) -> bytes:
    return b"".join((json_of(completed)[:-1], b",", *members(texts), b"}"))


class Journal:
    """Puts exchanges on record, those of one turn of the loop in one write, and then lets their last bytes go.

    They take each step together, as in `answering`.

    Args:
        event_bytes: Larger events lose their conversation.
    """

    def __init__(self, spool: Spool, *, event_bytes: int) -> None:
        self._spool = spool
        self._event_bytes = event_bytes
        self._ended: list[Recordable] = []
        self._finished: list[Recordable] = []

    def add(self, exchange: Recordable) -> None:
        if not self._ended:
            asyncio.get_running_loop().call_soon(self._turn_over)
        self._ended.append(exchange)

    def close(self) -> None:
        """Puts on record what has ended, and counts it."""
        self._flush()
        self._observe()

    def _turn_over(self) -> None:
        self._flush()
        asyncio.get_running_loop().call_soon(self._observe)  # the bytes go before it

    def _flush(self) -> None:
        """A full spool sheds events: users come first."""
        ended, self._ended = self._ended, []
        records = self._records(ended)
        if records:
            self._append(records)
        for exchange in ended:
            exchange.finish()
        self._finished += ended

    def _observe(self) -> None:
        finished, self._finished = self._finished, []
        for exchange in finished:
            exchange.observe()

    def _records(self, ended: list[Recordable]) -> list[OutboxRecord]:
        """A fault in one event must not keep answers back."""
        records: list[OutboxRecord] = []
        now = msgspec.to_builtins(datetime.now(UTC))  # RFC 3339, in a tenth of the time of isoformat
        for exchange in ended:
            try:
                exchange.read()
            except Exception:  # noqa: BLE001 - the event says what is known all the same
                _log.exception("answer.unreadable")
        for exchange in ended:
            try:
                completed, texts = exchange.completed(now)
                records.append(
                    completed_record(completed, texts, traceparent=exchange.traceparent, event_bytes=self._event_bytes)
                )
            except Exception:  # noqa: BLE001
                EVENTS_SHED.labels(INFERENCE_COMPLETED.name).inc()
                _log.exception("event.unwritable")
        return records

    def _append(self, records: list[OutboxRecord]) -> None:
        try:
            self._spool.append(records)
        except SpoolFull as error:
            if len(records) == 1:
                EVENTS_SHED.labels(INFERENCE_COMPLETED.name).inc()
                _log.error("event.shed", topic=INFERENCE_COMPLETED.name, code=error.code)
                return
            for record in records:  # one that is too large must not take the others with it
                self._append([record])

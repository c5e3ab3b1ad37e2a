"""CloudEvents 1.0 in Kafka's binary mode: the envelope is in the headers, the fact alone is in the value."""

import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Generic, TypeVar

import msgspec
from pydantic import ValidationError
from pydantic_core import from_json

from loopwright.contracts.base import Event
from loopwright.contracts.registry import Party, Topic
from loopwright.errors import InvalidPayload, UnknownEvent

E = TypeVar("E", bound=Event)
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
Headers = tuple[tuple[str, str], ...]
_READ = frozenset(("ce_id", "ce_type", "ce_source", "ce_time", "ce_correlationid", "ce_causationid", "traceparent"))


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """What is known about a fact besides the fact: who said it, when, and because of what.

    Attributes:
        event_id: Same id, same fact: consumers act on it once.
        correlation_id: Id of the event that began the chain.
        causation_id: Id of the event whose handling announced this one; None at the start of a chain.
        traceparent: W3C trace context of the announcing code.
    """

    event_id: str
    event_type: str
    source: str
    time: datetime
    correlation_id: str
    causation_id: str | None = None
    traceparent: str | None = None

    def to_headers(self) -> Headers:
        """Headers of the CloudEvents Kafka protocol binding 1.0, section 3.2 (binary content mode)."""
        pairs = [
            ("ce_specversion", "1.0"),
            ("ce_id", self.event_id),
            ("ce_type", self.event_type),
            ("ce_source", self.source),
            ("ce_time", self.time.isoformat()),
            ("ce_dataschema", f"loopwright:{self.event_type}"),
            ("ce_correlationid", self.correlation_id),
            ("content-type", "application/json"),
        ]
        if self.causation_id is not None:
            pairs.append(("ce_causationid", self.causation_id))
        if self.traceparent is not None:
            pairs.append(("traceparent", self.traceparent))
        return tuple(pairs)


class Received(msgspec.Struct, Generic[T_co], frozen=True, kw_only=True):
    """A fact as a consumer gets it."""

    envelope: Envelope
    event: T_co


def seal(topic: Topic[Event], *, source: Party, cause: Envelope | None, traceparent: str | None) -> Envelope:
    """The envelope of a fact that is being announced now."""
    event_id = str(uuid.uuid4())
    return Envelope(
        event_id=event_id,
        event_type=topic.event_type,
        source=f"/loopwright/{source}",
        time=datetime.now(UTC),
        correlation_id=cause.correlation_id if cause else event_id,
        causation_id=cause.event_id if cause else None,
        traceparent=traceparent,
    )


def open_record(
    topic: Topic[E], value: bytes | None, headers: Sequence[tuple[str, bytes]], *, position: str
) -> Received[E]:
    """As `open_record_by`, as the topic's own model."""
    return open_record_by(topic, value, headers, read=topic.event.model_validate_json, position=position)


def open_record_by(
    topic: Topic[Event],
    value: bytes | None,
    headers: Sequence[tuple[str, bytes]],
    *,
    read: Callable[[bytes], T],
    position: str,
) -> Received[T]:
    """Reads a Kafka record as the fact that its topic promises.

    Args:
        read: Reads the value, as the topic's own model does or faster; raises ValidationError.
        position: `topic:partition:offset`; the id of an upstream app's record that carries no CloudEvents headers.

    Raises:
        UnknownEvent: the envelope is missing or names another type or version.
        InvalidPayload: the value is not the promised JSON.
    """
    envelope = _read_envelope(topic, headers, position=position)
    if value is None:
        raise InvalidPayload("event.empty", "the record has no value")
    if _holds_nul(value):
        raise InvalidPayload("event.nul-character", "a text holds U+0000, which PostgreSQL cannot store")
    try:
        event = read(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "value"
        raise InvalidPayload("event.invalid-payload", f"{place}: {first['msg']}", errors=error.error_count()) from error
    except msgspec.ValidationError as error:  # of a reader whose types hold less than the model's
        raise InvalidPayload("event.invalid-payload", str(error)) from error
    return Received(envelope=envelope, event=event)


def _read_envelope(topic: Topic[Event], headers: Sequence[tuple[str, bytes]], *, position: str) -> Envelope:
    # a header may be null on the wire, whatever its type says; PostgreSQL's text has no NUL
    text = {
        name: (value or b"").decode("utf-8", "replace").replace("\0", "\ufffd")
        for name, value in headers
        if name in _READ
    }
    event_id, event_type = text.get("ce_id"), text.get("ce_type")
    if event_id is None and event_type is None and Party.UPSTREAM in topic.producers:
        event_id, event_type = position, topic.event_type
    if not event_id or event_type is None:
        raise UnknownEvent("event.no-envelope", "the CloudEvents headers ce_id and ce_type are missing")
    if event_type != topic.event_type:
        raise UnknownEvent("event.unknown-type", f"expected {topic.event_type}, found {event_type[:200]}")
    return Envelope(
        event_id=event_id[:200],
        event_type=event_type,
        source=text.get("ce_source", "unknown"),
        time=_read_time(text.get("ce_time")),
        correlation_id=text.get("ce_correlationid", event_id),
        causation_id=text.get("ce_causationid"),
        traceparent=text.get("traceparent"),
    )


def _holds_nul(value: bytes) -> bool:
    if rb"\u0000" not in value:
        return False
    try:
        found = [from_json(value)]
    except ValueError:
        return False  # the model says better what is wrong with it
    while found:
        match found.pop():
            case str(text) if "\0" in text:
                return True
            case list(entries):
                found += entries
            case dict(entries):
                found += [*entries.keys(), *entries.values()]
            case _:
                pass
    return False


def _read_time(text: str | None) -> datetime:
    if text is None:
        return datetime.now(UTC)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise UnknownEvent("event.bad-time", "ce_time is not an RFC 3339 time") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)

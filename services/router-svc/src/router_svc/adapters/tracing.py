"""Spans of requests: nothing is made of one that is not sampled, and the rest after the last byte."""

import random
import re
from typing import Final

from opentelemetry import trace
from opentelemetry.propagate import extract

_TRACEPARENT = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")  # W3C Trace Context, 2.2; ids of zeros: none
_NO_ID = ("-" + "0" * 32 + "-", "-" + "0" * 16 + "-")
_NS = 1_000_000_000
_tracer = trace.get_tracer("router")


class Trail:
    """The trace that a request belongs to.

    Attributes:
        traceparent: What goes to the model's server, to the client and into the event; None without a trace.
        span: Ours, if it is sampled.
    """

    __slots__ = ("span", "traceparent")

    def __init__(self, traceparent: str | None, span: trace.Span | None = None) -> None:
        self.traceparent = traceparent
        self.span = span


_NONE: Final = Trail(None)


class Tracing:
    """Decides what is sampled.

    Args:
        share_0_1: Of the requests that come without a decision; 0 where spans would go nowhere.
    """

    def __init__(self, share_0_1: float) -> None:
        self._share_0_1 = share_0_1

    def begin(self, sent: bytes | None, *, name: str, started_ns: int) -> Trail:
        """Continues the client's trace, or begins one.

        Args:
            sent: The client's `traceparent`, whatever it holds.
            started_ns: Nanoseconds since 1970.
        """
        continued = _read(sent) if sent is not None else None
        if not self._is_sampled(continued):
            return _NONE if continued is None else Trail(continued)
        context = extract({"traceparent": continued}) if continued is not None else None
        span = _tracer.start_span(name, context=context, kind=trace.SpanKind.SERVER, start_time=started_ns)
        return Trail(_written(span.get_span_context()), span)

    def _is_sampled(self, continued: str | None) -> bool:
        if not self._share_0_1:
            return False
        if continued is not None:
            return continued.endswith("1")
        return self._share_0_1 >= 1 or random.random() < self._share_0_1  # noqa: S311 - no secret


def end_span(
    span: trace.Span,
    attributes: dict[str, str | int | float],
    *,
    started_ns: int,
    phases: list[tuple[str, float, float]],
) -> None:
    """Ends a span, with its phases as children.

    Args:
        phases: Name, and from when to when, in seconds after the start.
    """
    span.set_attributes(attributes)
    context = trace.set_span_in_context(span)
    end_ns = started_ns
    for name, from_s, to_s in phases:
        end_ns = started_ns + int(to_s * _NS)
        child = _tracer.start_span(name, context=context, start_time=started_ns + int(from_s * _NS))
        child.end(end_time=end_ns)
    span.end(end_time=end_ns)


def _written(context: trace.SpanContext) -> str:
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{int(context.trace_flags):02x}"


def _read(sent: bytes) -> str | None:
    text = sent.decode("latin-1").strip()
    return text if _TRACEPARENT.fullmatch(text) and not any(zeros in text for zeros in _NO_ID) else None

"""Traces, metrics and logs: every name with its meaning and unit is declared here.

Traces continue through HTTP, outbox, Kafka headers and training processes by W3C trace context.
"""

import base64
import logging
import sys
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import msgspec
import structlog
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.propagate import extract, inject
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from prometheus_client import Counter, Gauge, Histogram
from structlog.typing import EventDict, WrappedLogger

EVENTS_HANDLED = Counter(
    "loopwright_events_handled_total", "Events taken from Kafka, by what became of them", ["topic", "outcome"]
)
EVENT_SECONDS = Histogram(
    "loopwright_event_handling_seconds", "Seconds from opening an event, or a batch of them, to its commit", ["topic"]
)
OUTBOX_PUBLISHED = Counter("loopwright_outbox_published_total", "Outbox records acknowledged by Kafka", ["topic"])
OUTBOX_PENDING = Gauge("loopwright_outbox_pending_records", "Outbox records that the relay last saw waiting")
HTTP_REQUESTS = Counter("loopwright_http_requests_total", "HTTP requests answered", ["method", "route", "status"])
HTTP_SECONDS = Histogram("loopwright_http_request_seconds", "Seconds from request to last byte", ["method", "route"])

_tracer = trace.get_tracer("loopwright")
_MAX_LINKS = 128


class JsonLinesSpanExporter(SpanExporter):
    """Writes spans as OTLP JSON, one export request a line (OpenTelemetry protocol file exporter, version 1).

    Args:
        path: File that is appended to; several processes use one file each.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("ab")

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        from google.protobuf.json_format import MessageToDict  # noqa: PLC0415 - 3 MB that who keeps no traces does without
        from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans  # noqa: PLC0415

        request = MessageToDict(encode_spans(spans))
        for resource in request.get("resourceSpans", []):
            for scope in resource.get("scopeSpans", []):
                for span in scope.get("spans", []):
                    _hex_ids(span)
        self._file.write(msgspec.json.encode(request) + b"\n")
        self._file.flush()
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        self._file.close()


def _hex_ids(span: dict[str, object]) -> None:
    """OTLP's JSON mapping writes ids in hexadecimal where protobuf's writes base64."""
    for name in ("traceId", "spanId", "parentSpanId"):
        value = span.get(name)
        if isinstance(value, str):
            span[name] = base64.b64decode(value).hex()
    links = span.get("links")
    for link in links if isinstance(links, list) else []:
        _hex_ids(link)


def set_up_tracing(service: str, *, otlp_endpoint: str | None, trace_dir: Path | None) -> TracerProvider:
    """Installs the process's tracer provider; without an endpoint and a folder, spans are made but kept nowhere."""
    provider = TracerProvider(resource=Resource.create({"service.name": service}))
    if otlp_endpoint is not None:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 - as above

        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=f"{otlp_endpoint}/v1/traces")))
    if trace_dir is not None:
        exporter = JsonLinesSpanExporter(trace_dir / f"{service}.jsonl")
        provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=1000))
    trace.set_tracer_provider(provider)
    return provider


def set_up_logging(level: str) -> None:
    """Logs are JSON lines on standard output: an event name, fields, and the ids of the current trace."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _add_trace_ids,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(serializer=_dump_json),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(sys.stdout),
    )
    logging.basicConfig(
        stream=sys.stdout, level=logging.WARNING, format='{"event": "library", "text": "%(name)s %(message)s"}'
    )


def _dump_json(fields: EventDict, **_: object) -> str:
    return msgspec.json.encode(dict(fields), enc_hook=str).decode()


def _add_trace_ids(_logger: WrappedLogger, _method: str, fields: EventDict) -> EventDict:
    span = trace.get_current_span().get_span_context()
    if span.is_valid:
        fields["trace_id"] = format(span.trace_id, "032x")
        fields["span_id"] = format(span.span_id, "016x")
    return fields


def current_traceparent() -> str | None:
    """W3C `traceparent` of the current span, if there is one."""
    carrier: dict[str, str] = {}
    inject(carrier)
    return carrier.get("traceparent")


def current_trace_id() -> str | None:
    """Trace id of the current span: 32 hexadecimal digits."""
    span = trace.get_current_span().get_span_context()
    return format(span.trace_id, "032x") if span.is_valid else None


@contextmanager
def continued_span(
    name: str,
    *,
    traceparent: str | None,
    kind: trace.SpanKind = trace.SpanKind.INTERNAL,
    attributes: Mapping[str, str | int | float | bool] | None = None,
) -> Generator[trace.Span]:
    """A span that continues the trace of `traceparent`, or the current trace without one."""
    context = extract({"traceparent": traceparent}) if traceparent else otel_context.get_current()
    with _tracer.start_as_current_span(name, context=context, kind=kind, attributes=attributes) as span:
        yield span


@contextmanager
def linked_span(
    name: str,
    traceparents: Iterable[str | None],
    *,
    kind: trace.SpanKind = trace.SpanKind.INTERNAL,
    attributes: Mapping[str, str | int | float | bool] | None = None,
) -> Generator[trace.Span]:
    """A span for work on many things at once: it links to the trace of each, of the first 128 if there are more.

    (OpenTelemetry semantic conventions for messaging, batch processing; 128 is the SDK's limit of links of a span.)
    """
    distinct = islice((one for one in dict.fromkeys(traceparents) if one), _MAX_LINKS)
    contexts = (trace.get_current_span(extract({"traceparent": one})).get_span_context() for one in distinct)
    links = [trace.Link(context) for context in contexts if context.is_valid]
    with _tracer.start_as_current_span(name, kind=kind, links=links, attributes=attributes) as span:
        yield span

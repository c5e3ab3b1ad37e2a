"""One trace goes from an HTTP request through outbox, Kafka and a consumer to what that consumer announces."""

import json
from collections.abc import Awaitable, Callable, Iterator

import httpx
import pytest
from fastapi import APIRouter
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from loopwright.broker import EventRouter, KafkaRecord
from loopwright.contracts.base import Event
from loopwright.contracts.envelope import Received
from loopwright.contracts.registry import ALERT_RAISED, USER_ERASED, Party, Topic
from loopwright.errors import Conflict
from loopwright.service import Service
from loopwright.settings import CommonSettings
from loopwright.telemetry import continued_span, current_traceparent
from loopwright.testing.examples import an_event
from loopwright.testing.probe import Probe
from loopwright.testing.waiting import eventually
from loopwright.unit_of_work import Work

FreshTopic = Callable[[Topic[Event]], Awaitable[Topic[Event]]]
ReadTopic = Callable[[str], Awaitable[list[KafkaRecord]]]
CLIENT_TRACE = "0af7651916cd43dd8448eb211c80319c"
FROM_CLIENT = {"traceparent": f"00-{CLIENT_TRACE}-b7ad6b7169203331-01"}


@pytest.fixture(scope="module")
def exporter() -> InMemorySpanExporter:
    provider = trace.get_tracer_provider()
    if not isinstance(provider, TracerProvider):
        provider = TracerProvider()
        trace.set_tracer_provider(provider)
    exporter = InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return exporter


@pytest.fixture
def spans(exporter: InMemorySpanExporter) -> Iterator[Callable[[], dict[str, ReadableSpan]]]:
    exporter.clear()
    yield lambda: {span.name: span for span in exporter.get_finished_spans()}
    exporter.clear()


def a_service(common: CommonSettings, probe: Probe) -> Service:
    service = Service(Party.DATASET, common, database=probe.database)
    routes, events = APIRouter(), EventRouter()

    @routes.post("/erasures")
    async def erase() -> str:
        async with probe.work() as unit:
            return unit.announce(an_event(USER_ERASED))

    @events.on(USER_ERASED)
    async def handle(received: Received[Event], work: Work) -> None:
        if received.event.unit_hash == "refused":
            raise Conflict("unit.unknown", "no such unit")
        work.announce(an_event(ALERT_RAISED))

    service.add_routes(routes)
    service.add_events(events)
    return service


def trace_of(record: KafkaRecord) -> str:
    return dict(record.headers)["traceparent"].decode().split("-")[1]


async def test_a_request_is_followed_to_what_its_event_led_to(
    common: CommonSettings,
    probe: Probe,
    fresh_topic: FreshTopic,
    read_topic: ReadTopic,
    spans: Callable[[], dict[str, ReadableSpan]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    erased, raised = await fresh_topic(USER_ERASED), await fresh_topic(ALERT_RAISED)
    monkeypatch.setitem(globals(), "USER_ERASED", erased)
    service = a_service(common, probe)
    transport = httpx.ASGITransport(service.app)
    async with (
        service.app.router.lifespan_context(service.app),
        httpx.AsyncClient(transport=transport, base_url="http://service") as client,
    ):
        await client.post("/erasures", headers=FROM_CLIENT)
        await eventually(lambda: read_topic(raised.name))

    [first], [second] = await read_topic(erased.name), await read_topic(raised.name)
    assert trace_of(first) == trace_of(second) == CLIENT_TRACE
    assert dict(second.headers)["ce_causationid"] == dict(first.headers)["ce_id"]
    assert dict(second.headers)["ce_correlationid"] == dict(first.headers)["ce_id"]

    found = spans()
    consuming = found[f"process {erased.name}"]
    serving = next(span for span in found.values() if span.kind is trace.SpanKind.SERVER)
    assert {format(span.context.trace_id, "032x") for span in (serving, consuming)} == {CLIENT_TRACE}
    assert consuming.kind is trace.SpanKind.CONSUMER
    assert dict(first.headers)["traceparent"].decode().split("-")[2] == format(consuming.parent.span_id, "016x")
    assert dict(second.headers)["traceparent"].decode().split("-")[2] == format(consuming.context.span_id, "016x")
    assert consuming.attributes["messaging.message.id"] == dict(first.headers)["ce_id"].decode()


async def test_long_work_continues_the_trace_of_the_event_that_asked_for_it(
    probe: Probe, spans: Callable[[], dict[str, ReadableSpan]]
) -> None:
    with continued_span("door", traceparent=FROM_CLIENT["traceparent"]):
        kept_in_a_row = current_traceparent()
    with continued_span("job", traceparent=kept_in_a_row):
        async with probe.work() as unit:
            unit.announce(an_event(ALERT_RAISED))

    [row] = await probe.outbox()
    assert dict(row["headers"])["traceparent"].split("-")[1] == CLIENT_TRACE
    assert spans()["job"].parent.span_id == spans()["door"].context.span_id


async def test_a_problem_names_the_trace_to_look_it_up_by(
    common: CommonSettings, probe: Probe, exporter: object
) -> None:
    service = a_service(common, probe)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(service.app), base_url="http://service") as client:
        answer = await client.get("/nowhere", headers=FROM_CLIENT)
    assert json.loads(answer.content)["trace_id"] == CLIENT_TRACE

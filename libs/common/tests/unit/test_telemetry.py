"""Spans continue across doors, and their files can be read by any OTLP tool."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from google.protobuf.json_format import ParseDict
from opentelemetry import trace
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from loopwright.telemetry import (
    JsonLinesSpanExporter,
    continued_span,
    current_trace_id,
    current_traceparent,
    set_up_logging,
)

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
TRACEPARENT = f"00-{TRACE_ID}-b7ad6b7169203331-01"


def test_without_a_span_there_is_no_trace_to_name() -> None:
    assert current_trace_id() is None
    assert current_traceparent() is None


def test_a_span_continues_the_trace_that_it_is_given() -> None:
    with continued_span("work", traceparent=TRACEPARENT):
        assert current_trace_id() == TRACE_ID
        assert current_traceparent().split("-")[1] == TRACE_ID


@pytest.mark.parametrize("traceparent", ["", "garbage", "00-zz-yy-01", "\x00"])
def test_a_broken_traceparent_begins_a_new_trace_instead_of_failing(traceparent: str) -> None:
    with continued_span("work", traceparent=traceparent):
        assert current_trace_id() != TRACE_ID


class TestJsonLines:
    @pytest.fixture
    def tracer(self, tmp_path: Path) -> Iterator[trace.Tracer]:
        provider = TracerProvider(resource=Resource.create({"service.name": "test-svc"}))
        provider.add_span_processor(SimpleSpanProcessor(JsonLinesSpanExporter(tmp_path / "traces" / "test-svc.jsonl")))
        yield provider.get_tracer("test")
        provider.shutdown()

    def test_each_line_is_an_export_request_with_hexadecimal_ids(self, tracer: trace.Tracer, tmp_path: Path) -> None:
        with tracer.start_as_current_span("outer") as outer:
            link = trace.Link(outer.get_span_context())
            with tracer.start_as_current_span("inner", links=[link], attributes={"size_bytes": 7}) as inner:
                pass

        lines = (tmp_path / "traces" / "test-svc.jsonl").read_text().splitlines()
        spans = [json.loads(line)["resourceSpans"][0]["scopeSpans"][0]["spans"][0] for line in lines]
        assert [span["name"] for span in spans] == ["inner", "outer"]
        context = inner.get_span_context()
        assert spans[0]["traceId"] == format(context.trace_id, "032x")
        assert spans[0]["spanId"] == format(context.span_id, "016x")
        assert spans[0]["parentSpanId"] == spans[1]["spanId"] == spans[0]["links"][0]["spanId"]
        assert "parentSpanId" not in spans[1]

    def test_a_line_has_the_shape_that_the_protocol_gives_it(self, tracer: trace.Tracer, tmp_path: Path) -> None:
        with tracer.start_as_current_span("one"):
            pass

        line = json.loads((tmp_path / "traces" / "test-svc.jsonl").read_text())
        parsed = ParseDict(line, TracesData())
        attributes = {entry.key: entry.value.string_value for entry in parsed.resource_spans[0].resource.attributes}
        assert attributes["service.name"] == "test-svc"

    def test_a_second_process_appends(self, tmp_path: Path) -> None:
        path = tmp_path / "same.jsonl"
        for _ in range(2):
            provider = TracerProvider()
            provider.add_span_processor(SimpleSpanProcessor(JsonLinesSpanExporter(path)))
            with provider.get_tracer("test").start_as_current_span("one"):
                pass
            provider.shutdown()
        assert len(path.read_text().splitlines()) == 2


class TestLogs:
    @pytest.fixture(autouse=True)
    def restored(self) -> Iterator[None]:
        yield
        structlog.reset_defaults()

    def test_a_line_is_json_with_the_ids_of_its_trace(self, capsys: pytest.CaptureFixture[str]) -> None:
        set_up_logging("INFO")
        with continued_span("work", traceparent=TRACEPARENT):
            structlog.get_logger().info("thing.happened", size_bytes=7, who="서")

        line = json.loads(capsys.readouterr().out)
        assert (line["event"], line["size_bytes"], line["who"]) == ("thing.happened", 7, "서")
        assert line["trace_id"] == TRACE_ID
        assert line["level"] == "info"
        assert line["timestamp"].endswith("Z")

    def test_lines_below_the_level_are_not_written(self, capsys: pytest.CaptureFixture[str]) -> None:
        set_up_logging("WARNING")
        structlog.get_logger().info("quiet")
        assert capsys.readouterr().out == ""

    def test_an_exception_is_told_without_the_values_of_variables(self, capsys: pytest.CaptureFixture[str]) -> None:
        set_up_logging("INFO")
        password = "sword" + "fish"
        try:
            int(password[:0])
        except ValueError as error:
            structlog.get_logger().exception("bug", exc_info=error)
        line = json.loads(capsys.readouterr().out)
        assert "Traceback" in line["exception"]
        assert "swordfish" not in line["exception"]

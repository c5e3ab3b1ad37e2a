"""Shows one trace across all services: `python -m loopwright_local.traces TRACE_ID`, from the local trace files."""

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, Field
from rich.console import Console
from rich.tree import Tree

from loopwright_local.settings import LocalSettings


class _Value(BaseModel):
    string: str | None = Field(None, alias="stringValue")


class _Attribute(BaseModel):
    key: str
    value: _Value


class _Span(BaseModel):
    trace_id: str = Field(alias="traceId")
    span_id: str = Field(alias="spanId")
    parent_id: str = Field("", alias="parentSpanId")
    name: str
    started_ns: int = Field(alias="startTimeUnixNano")
    ended_ns: int = Field(alias="endTimeUnixNano")


class _Scope(BaseModel):
    spans: list[_Span] = []


class _Resource(BaseModel):
    attributes: list[_Attribute] = []


class _ResourceSpans(BaseModel):
    resource: _Resource
    scopes: list[_Scope] = Field([], alias="scopeSpans")


class _Export(BaseModel):
    groups: list[_ResourceSpans] = Field([], alias="resourceSpans")


@dataclass(frozen=True)
class SpanLine:
    """One span as the command shows it; times are nanoseconds of the Unix epoch."""

    service: str
    name: str
    span_id: str
    parent_id: str
    started_ns: int
    ended_ns: int


def spans_of(trace_id: str, folder: Path) -> list[SpanLine]:
    """All spans of a trace below `folder`, oldest first."""
    return sorted(_read(trace_id, folder), key=lambda span: span.started_ns)


def _read(trace_id: str, folder: Path) -> Iterator[SpanLine]:
    for path in sorted(folder.glob("*.jsonl")):
        for line in path.read_text().splitlines():
            if trace_id not in line:
                continue
            try:
                export = _Export.model_validate(json.loads(line))
            except ValueError:  # a process that was killed leaves half a line
                continue
            for group in export.groups:
                names = (item.value.string for item in group.resource.attributes if item.key == "service.name")
                service = next(names, None) or path.stem
                for span in (span for scope in group.scopes for span in scope.spans if span.trace_id == trace_id):
                    yield SpanLine(service, span.name, span.span_id, span.parent_id, span.started_ns, span.ended_ns)


def draw(spans: list[SpanLine]) -> Tree:
    """Spans as a tree; a span whose parent was not kept hangs at the top."""
    began = spans[0].started_ns
    when = datetime.fromtimestamp(began / 1e9, tz=UTC)
    tree = Tree(
        f"{len(spans)} spans in {len({span.service for span in spans})} services, from {when:%Y-%m-%d %H:%M:%S} UTC"
    )
    branches: dict[str, Tree] = {}
    for span in spans:
        offset, length = (span.started_ns - began) / 1e9, (span.ended_ns - span.started_ns) / 1e9
        branch = branches.get(span.parent_id, tree)
        branches[span.span_id] = branch.add(f"[bold]{span.service}[/] {span.name}  +{offset:.2f} s, {length:.3f} s")
    return tree


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("trace_id", help="32 hexadecimal digits; the demo's report names one")
    arguments = parser.parse_args()
    folder = LocalSettings().dir / "traces"
    spans = spans_of(arguments.trace_id.lower(), folder)
    if not spans:
        raise SystemExit(f"no span of trace {arguments.trace_id} in {folder}")
    Console(soft_wrap=True).print(draw(spans))


if __name__ == "__main__":
    main()

"""Schemathesis against a service's OpenAPI, over a real socket: every route is asked what its own schema allows and forbids.

It runs in a process of its own, so that its imports and warnings stay out of the other tests.
"""

import asyncio
import copy
import json
import re
import sys
from collections import Counter, defaultdict
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from loopwright.contracts.base import JsonObject
from loopwright.problems import template_of
from loopwright.testing.waiting import eventually

Operation = tuple[str, str]  # method in capitals, template of the path
_SHARE_OF_KNOWN = 0.75
_HOSTILE = "a\0b"
_CONFIG, _SCHEMA, _OUTPUT = "schemathesis.toml", "openapi.json", "output.txt"
_SETTINGS = """
hooks = "loopwright.testing.problem_check"
seed = 1
request-timeout = 60
color = false
continue-on-failure = true
cache.enabled = false
generation.deterministic = true
generation.database = "none"
generation.no-shrink = true
phases.stateful.enabled = false
phases.examples.operation-ordering = "none"
phases.coverage.operation-ordering = "none"
phases.fuzzing.operation-ordering = "none"
phases.coverage.unexpected-methods = ["DELETE", "TRACE"]
# an answer beyond what a schema can say is right: these two take every rule that it does not state for an error
checks.positive_data_acceptance.enabled = false
checks.negative_data_rejection.enabled = false
dictionaries.hostile-texts.values = ["\\u0000", "a\\u0000b", "..", "%00", "'", "\\U0001F9F5", "9223372036854775808"]
dictionaries.hostile-numbers.values = [2147483648, 9007199254740992, 9223372036854775807, -1, 0]
generation.dictionaries.string = { dictionary = "hostile-texts", probability = 0.05 }
generation.dictionaries.integer = { dictionary = "hostile-numbers", probability = 0.05 }
"""


@dataclass(frozen=True, kw_only=True)
class Probing:
    """What is asked, and for how long.

    Attributes:
        token: Of an admin.
        known: Values that exist, for three requests in four, by place: `path.dataset_id`, `body.document_ids[*]`.
        bodies: Requests that succeed, where those that schemas allow rarely do.
        own: The same for parameters, by place: what only this operation is asked about to begin with.
        examples: Random requests to each operation, beside those at the edges of its schema.
        spent_by: Regular expressions of paths that use up what they are about, as DELETE does.
        not_at_edges: Regular expressions of paths that get only random requests; others have the same bodies.
        may_be_away: Regular expressions of paths whose 503 is right in this test.
        max_time_s: What takes longer fails; how much is asked depends on no clock.
    """

    token: str
    known: Mapping[str, Sequence[str | int]]
    bodies: Mapping[Operation, JsonObject] = field(default_factory=dict[Operation, JsonObject])
    own: Mapping[Operation, Mapping[str, str]] = field(default_factory=dict[Operation, Mapping[str, str]])
    examples: int = 4
    spent_by: Sequence[str] = ()
    not_at_edges: Sequence[str] = ()
    may_be_away: Sequence[str] = ("^/ready$",)
    max_time_s: int = 240


@dataclass(frozen=True, kw_only=True)
class ProbeReport:
    """What came of it.

    Attributes:
        failures: What it said about answers that break the rules; empty if none did.
        answers: How often each operation answered with each status.
        never_asked: Documented operations without a request.
        never_succeeded: Documented operations without a 2xx, so that no schema of an answer was checked.
    """

    failures: str
    answers: Mapping[Operation, Counter[int]]
    never_asked: frozenset[Operation]
    never_succeeded: frozenset[Operation]


async def probe(app: FastAPI, probing: Probing, folder: Path) -> ProbeReport:
    """Serves the app without its background work, and asks.

    Args:
        folder: Empty place for settings and output of the run.
    """
    answers: defaultdict[Operation, Counter[int]] = defaultdict(Counter)
    schema, documented = _schema(app, probing)
    (folder / _SCHEMA).write_text(schema)
    async with _served(_Witness(app, answers)) as url:
        (folder / _CONFIG).write_text(_config(probing, url))
        failures = await _run(folder, timeout_s=probing.max_time_s)
    return ProbeReport(
        failures=failures,
        answers=dict(answers),
        never_asked=documented - answers.keys(),
        never_succeeded=frozenset(one for one in documented if not any(200 <= status < 300 for status in answers[one])),
    )


class _Witness:
    """Counts the app's answers by operation."""

    def __init__(self, app: FastAPI, answers: defaultdict[Operation, Counter[int]]) -> None:
        self._app = app
        self._answers = answers
        self._paths = tuple(app.openapi()["paths"])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def watch(message: Message) -> None:
            if message["type"] == "http.response.start":
                path = template_of(scope["path"], self._paths) or "undocumented"
                self._answers[scope["method"], path][message["status"]] += 1
            await send(message)

        await self._app(scope, receive, watch)


@asynccontextmanager
async def _served(app: ASGIApp) -> AsyncGenerator[str]:
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_config=None, access_log=False, lifespan="off")
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    await eventually(lambda: asyncio.sleep(0, server.started))
    port: int = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await serving


async def _run(folder: Path, *, timeout_s: float) -> str:
    """What it printed, if it found a failure."""
    command = (sys.executable, "-m", "schemathesis.cli", "--config-file", _CONFIG, "run", _SCHEMA)
    process = await asyncio.create_subprocess_exec(
        *command, cwd=folder, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        async with asyncio.timeout(timeout_s):
            output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    (folder / _OUTPUT).write_bytes(output)
    # what kills its thread it does not count as a failure, and leaves the rest unasked
    fine = process.returncode == 0 and b"Exception in thread" not in output
    return "" if fine else output.decode(errors="replace")


def _config(probing: Probing, url: str) -> str:
    """Settings as TOML, whose strings and lists are written as JSON's."""
    lines = [
        f"base-url = {json.dumps(url)}",
        f"headers.Authorization = {json.dumps(f'Bearer {probing.token}')}",
        f"generation.max-examples = {probing.examples}",
        _SETTINGS,
    ]
    for number, (place, values) in enumerate(probing.known.items()):
        lines += [
            f"dictionaries.known-{number}.values = {json.dumps([*values, *values, _HOSTILE])}",
            f'parameters.{json.dumps(place)} = {{ dictionary = "known-{number}", probability = {_SHARE_OF_KNOWN} }}',
        ]
    for path in probing.may_be_away:
        lines += [
            "[[operations]]",
            f"include-path-regex = {json.dumps(path)}",
            'checks.not_a_server_error.expected-statuses = ["2xx", "3xx", "4xx", "503"]',
        ]
    for path in probing.not_at_edges:
        lines += [
            "[[operations]]",
            f"include-path-regex = {json.dumps(path)}",
            "phases.coverage.enabled = false",
        ]
    return "\n".join(lines)


def _schema(app: FastAPI, probing: Probing) -> tuple[str, frozenset[Operation]]:
    """The document as JSON, what takes away last; and its operations.

    What exists is in it as examples: a request at the edge of one parameter takes the other ones from there. What takes
    away has the last ones for examples, so that the first ones stay.
    """
    openapi = copy.deepcopy(app.openapi())
    openapi["paths"] = dict(sorted(openapi["paths"].items(), key=lambda entry: "delete" in entry[1]))
    operations = {
        (method.upper(), path): one for path, methods in openapi["paths"].items() for method, one in methods.items()
    }
    for (method, path), operation in operations.items():
        if body := probing.bodies.get((method, path)):
            operation["requestBody"]["content"]["application/json"]["example"] = body
        spends = method == "DELETE" or any(re.search(pattern, path) for pattern in probing.spent_by)
        for parameter in operation.get("parameters", ()):
            place = f"{parameter['in']}.{parameter['name']}"
            if value := probing.own.get((method, path), {}).get(place):
                parameter["example"] = value
            elif values := probing.known.get(place):
                parameter["example"] = values[-1 if spends else 0]
            elif values := probing.known.get(f"{place}[*]"):
                parameter["example"] = list(values)
    return json.dumps(openapi), frozenset(operations)

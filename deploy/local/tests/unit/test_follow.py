"""Following a job from a terminal: what is shown, what happens when the stream breaks off, and how it ends."""

import io
import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import httpx
import pytest
from pydantic import JsonValue
from rich.console import Console

from loopwright_local import event_stream
from loopwright_local.event_stream import Refused, ServerEvent, follow_events, read_events
from loopwright_local.follow import Standing, figures_of, follow
from loopwright_local.settings import LocalSettings


def an_event(kind: str, event_id: str | None = None, **fields: JsonValue) -> str:
    last = f"id: {event_id}\n" if event_id is not None else ""
    return f"event: {kind}\ndata: {json.dumps(fields)}\n{last}\n"


class Service(httpx.AsyncBaseTransport):
    """A trainer-svc that answers each path with one stream after the other; an error in place of a text breaks it off.

    Attributes:
        asked: Path and Last-Event-ID of each request.
    """

    def __init__(self, streams: dict[str, Sequence[str | int | Exception]]) -> None:
        self._streams = {path: list(answers) for path, answers in streams.items()}
        self.asked: list[tuple[str, str | None]] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path.rpartition("/jobs/job-1")[2]
        self.asked.append((path, request.headers.get("Last-Event-ID")))
        answer = self._streams[path].pop(0)
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, int):
            problem = {"title": "no", "detail": "there is no job job-1", "status": answer, "code": "x", "type": "x"}
            return httpx.Response(answer, json=problem)
        return httpx.Response(200, text=answer)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_stream, "_AGAIN_AFTER_S", 0.0)


@pytest.fixture
def settings(tmp_path: Path) -> LocalSettings:
    return LocalSettings(dir=tmp_path)


async def run(settings: LocalSettings, service: Service, *, terminal: bool = False) -> tuple[int, str]:
    """Exit status, and what was shown."""
    file = io.StringIO()
    console = Console(file=file, force_terminal=terminal, width=100, color_system=None)
    status = await follow(settings, "job-1", console=console, transport=service)
    return status, file.getvalue()


class TestReadEvents:
    async def read(self, text: str) -> list[ServerEvent]:
        async def lines() -> AsyncIterator[str]:
            for line in text.split("\n"):
                yield line

        return [event async for event in read_events(lines())]

    async def test_reads_kind_id_and_data_of_several_lines(self) -> None:
        text = ": a comment\nretry: 5\n\nevent: lines\nid: 7\ndata: a\ndata:b\n\ndata: {}\n\n"
        assert await self.read(text) == [ServerEvent("lines", "a\nb", "7"), ServerEvent("message", "{}", "7")]

    async def test_drops_an_event_that_was_cut_off(self) -> None:
        assert await self.read("data: whole\n\ndata: cut") == [ServerEvent("message", "whole", None)]


class TestFollow:
    @pytest.mark.parametrize(("state", "status"), [("succeeded", 0), ("failed", 1), ("stopped", 2), ("deleted", 3)])
    async def test_ends_as_the_job_ends(self, settings: LocalSettings, state: str, status: int) -> None:
        end = an_event("end", state=state, reason="because")
        ended, shown = await run(settings, Service({"/logs/stream": [end], "/progress/stream": [end]}))
        assert ended == status
        assert f"job-1 {state}: because" in shown

    async def test_shows_lines_and_figures(self, settings: LocalSettings) -> None:
        end = an_event("end", state="succeeded", reason=None)
        standing = an_event("progress", state="running", step=3, total_steps=9, loss=0.5, tokens_per_s=1200.0, eta_s=90)
        log = an_event("lines", "9", lines=["one", "two"]) + an_event("notice", text="it runs elsewhere") + end
        _, shown = await run(settings, Service({"/logs/stream": [log], "/progress/stream": [standing + end]}))
        assert "one\ntwo\n* it runs elsewhere\n" in shown
        assert "step 3 of 9, loss 0.5000, 1,200 tokens/s, 0:01:30 left" in shown

    async def test_draws_a_bar_on_a_terminal(self, settings: LocalSettings) -> None:
        end = an_event("end", state="succeeded", reason=None)
        standing = an_event("progress", state="running", step=3, total_steps=9, loss=0.5)
        streams = {"/logs/stream": [an_event("lines", lines=["one"]) + end], "/progress/stream": [standing + end]}
        _, shown = await run(settings, Service(streams), terminal=True)
        assert "3/9" in shown
        assert "loss 0.5000" in shown
        assert "one" in shown

    async def test_goes_on_after_the_last_event_when_the_stream_breaks_off(self, settings: LocalSettings) -> None:
        end = an_event("end", state="succeeded", reason=None)
        service = Service(
            {
                "/logs/stream": [
                    an_event("lines", "4", lines=["one"]), httpx.ConnectError("refused"), 503, 429,
                    an_event("lines", "8", lines=["two"]), an_event("lines", "14", lines=["three"]) + end,
                ],
                "/progress/stream": [end],
            }
        )  # fmt: skip
        status, shown = await run(settings, service)
        assert status == 0
        assert [line for line in shown.splitlines() if line in {"one", "two", "three"}] == ["one", "two", "three"]
        assert shown.count("trying again") == 1
        asked = [last for path, last in service.asked if path == "/logs/stream"]
        assert asked == [None, "4", "4", "4", "4", "8"]

    async def test_goes_on_when_a_stream_breaks_off_that_had_said_nothing_yet(self, settings: LocalSettings) -> None:
        end = an_event("end", state="succeeded", reason=None)
        service = Service(
            {
                "/logs/stream": [
                    ": following\n\n",
                    httpx.ConnectError("refused"),
                    an_event("lines", lines=["one"]) + end,
                ],
                "/progress/stream": ["", httpx.ReadError("gone"), end],
            }
        )
        status, shown = await run(settings, service)
        assert status == 0
        assert "one" in shown.splitlines()

    @pytest.mark.parametrize("terminal", [True, False])
    async def test_a_line_cannot_move_the_cursor(self, settings: LocalSettings, *, terminal: bool) -> None:
        end = an_event("end", state="succeeded", reason=None)
        log = an_event("lines", lines=["\x1b[2J\x1b[1;1H\x1b[31mred\x1b[0m \x1b]0;title\x1b\\ [bold]text\x07"]) + end
        _, shown = await run(settings, Service({"/logs/stream": [log], "/progress/stream": [end]}), terminal=terminal)
        assert "red  [bold]text" in shown
        assert [part for part in ("\x1b[2J", "\x1b[1;1H", "\x1b]0;", "\x07") if part in shown] == []

    @pytest.mark.parametrize("status", [401, 404])
    async def test_of_a_job_that_is_refused_says_what_the_service_said(
        self, settings: LocalSettings, status: int
    ) -> None:
        with pytest.raises(ExceptionGroup) as caught:
            await run(settings, Service({"/logs/stream": [status], "/progress/stream": [status]}))
        refusal = caught.value.exceptions[0]
        assert isinstance(refusal, Refused)
        assert str(refusal) == "there is no job job-1"

    async def test_does_not_wait_for_a_stack_that_was_never_there(self) -> None:
        async with httpx.AsyncClient(
            base_url="http://x/jobs/job-1", transport=Service({"/logs/stream": [httpx.ConnectError("refused")]})
        ) as client:
            with pytest.raises(httpx.ConnectError):
                await anext(follow_events(client, "/logs/stream", token=str, say=_nobody))


def _nobody(_words: str) -> None:
    pytest.fail("nothing was interrupted")


class TestFigures:
    @pytest.mark.parametrize(
        ("fields", "told"),
        [
            ({"state": "queued", "reason": "waits for cuda:0"}, "queued: waits for cuda:0"),
            ({"state": "running"}, "running"),
            ({"state": "running", "loss": 0.25, "validation_loss": 0.5}, "loss 0.2500, validation 0.5000"),
        ],
    )
    def test_say_what_there_is_to_say(self, fields: dict[str, JsonValue], told: str) -> None:
        assert figures_of(Standing.model_validate(fields)) == told

"""A job as it runs: `python -m loopwright_local.follow JOB_ID`: its log, and below it how far it is.

Exit status: 0 succeeded, 1 failed, 2 stopped, 3 cannot be followed; Ctrl-C leaves the job alone.
"""

import argparse
import asyncio
import sys
import time
from datetime import timedelta
from typing import Self
from urllib.parse import quote

import httpx
from pydantic import BaseModel, ConfigDict
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn
from rich.text import Text

from loopwright_local.errors import LocalError
from loopwright_local.event_stream import follow_events
from loopwright_local.keys import ensure_keys, mint_token
from loopwright_local.settings import LocalSettings

_STATUS = {"succeeded": 0, "failed": 1, "stopped": 2}
_CANNOT_FOLLOW = 3
_INTERRUPTED = 130
_SAY_EVERY_S = 5.0  # where no bar can be drawn
_LAST_LINES_S = 30.0  # time for the rest of the log once the job has ended
_TOKEN_S = 300  # checked when a stream is opened


class _Answer(BaseModel):
    model_config = ConfigDict(extra="ignore")


class Standing(_Answer):
    """From trainer-svc: where a job stands."""

    state: str
    reason: str | None = None
    step: int = 0
    total_steps: int = 0
    loss: float | None = None
    validation_loss: float | None = None
    tokens_per_s: float | None = None
    eta_s: float | None = None


class _Lines(_Answer):
    lines: tuple[str, ...]


class _Notice(_Answer):
    text: str


class _End(_Answer):
    state: str
    reason: str | None = None


class Screen:
    """The job's lines, and below them one that changes; without a terminal, that line is written now and then."""

    def __init__(self, console: Console, job_id: str) -> None:
        self._console = console
        self._bar = Progress(
            SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
            TextColumn("{task.fields[figures]}"), console=console, transient=True,
            disable=not console.is_terminal,
        )  # fmt: skip
        self._task = self._bar.add_task(job_id, total=None, figures="")
        self._said_at = float("-inf")

    def show_lines(self, content: str) -> None:
        for line in _Lines.model_validate_json(content).lines:
            # colours stay; what else would move the cursor goes
            self._console.print(Text.from_ansi(line), soft_wrap=True)

    def say(self, words: str) -> None:
        self._console.print(Text(f"* {words}", style="dim"), soft_wrap=True)

    def show_standing(self, content: str) -> None:
        standing = Standing.model_validate_json(content)
        figures, total = figures_of(standing), standing.total_steps or None
        self._bar.update(self._task, completed=standing.step, total=total, figures=figures)
        if not self._console.is_terminal and time.monotonic() - self._said_at >= _SAY_EVERY_S:
            self._said_at = time.monotonic()
            self.say(f"step {standing.step} of {total or '?'}, {figures}")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()


def figures_of(standing: Standing) -> str:
    """The figures of a running job, or what it does instead."""
    if standing.state != "running":
        return standing.state + (f": {standing.reason}" if standing.reason else "")
    told = [
        f"loss {standing.loss:.4f}" if standing.loss is not None else "",
        f"validation {standing.validation_loss:.4f}" if standing.validation_loss is not None else "",
        f"{standing.tokens_per_s:,.0f} tokens/s" if standing.tokens_per_s is not None else "",
        f"{timedelta(seconds=round(standing.eta_s))} left" if standing.eta_s is not None else "",
    ]
    return ", ".join(part for part in told if part) or "running"


class _Follower:
    """Follows both streams of one job onto a screen."""

    def __init__(self, settings: LocalSettings, client: httpx.AsyncClient, screen: Screen) -> None:
        self._keys = ensure_keys(settings.keys_dir)
        self._client = client
        self._screen = screen

    def _token(self) -> str:
        return mint_token(self._keys, subject="follow", roles=("viewer",), ttl_s=_TOKEN_S)

    async def follow_log(self, lines: int) -> None:
        path = f"/logs/stream?lines={lines}"
        async for event in follow_events(self._client, path, token=self._token, say=self._screen.say):
            match event.kind:
                case "lines":
                    self._screen.show_lines(event.data)
                case "notice" | "restart":
                    self._screen.say(_Notice.model_validate_json(event.data).text)
                case _:
                    pass

    async def follow_progress(self) -> _End:
        """How the job ended."""
        ending = _End(state="unknown")
        async for event in follow_events(self._client, "/progress/stream", token=self._token, say=_ignore):
            match event.kind:
                case "progress":
                    self._screen.show_standing(event.data)
                case "end":
                    ending = _End.model_validate_json(event.data)
                case _:
                    pass
        return ending


def _ignore(_words: str) -> None:
    """The log's stream breaks off for the same reason, and says so."""


async def follow(
    settings: LocalSettings,
    job_id: str,
    *,
    console: Console,
    lines: int = 200,
    transport: httpx.AsyncBaseTransport | None = None,
) -> int:
    """Follows a job to its end.

    Returns:
        The exit status.

    Raises:
        Refused: trainer-svc knows no such job.
        httpx.TransportError: it does not answer.
    """
    base = f"http://127.0.0.1:{settings.trainer_port}/api/v1/admin/finetuning/jobs/{quote(job_id, safe='')}"
    async with httpx.AsyncClient(base_url=base, transport=transport) as client:
        with Screen(console, job_id) as screen:
            follower = _Follower(settings, client, screen)
            async with asyncio.TaskGroup() as both:
                log = both.create_task(follower.follow_log(lines))
                end = await follower.follow_progress()
                await asyncio.wait({log}, timeout=_LAST_LINES_S)
                log.cancel()
    console.print(Text(f"{job_id} {end.state}" + (f": {end.reason}" if end.reason else "")), soft_wrap=True)
    return _STATUS.get(end.state, _CANNOT_FOLLOW)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("job_id")
    parser.add_argument("--lines", type=int, default=200, help="lines of the log to begin with")
    arguments = parser.parse_args()
    status = _CANNOT_FOLLOW
    try:
        status = asyncio.run(follow(LocalSettings(), arguments.job_id, console=Console(), lines=arguments.lines))
    except* LocalError as refusals:
        print(f"follow: {refusals.exceptions[0]}", file=sys.stderr)
    except* httpx.TransportError as errors:
        print(f"follow: the stack does not answer ({errors.exceptions[0]}); start it with `make up`", file=sys.stderr)
    except* KeyboardInterrupt:
        print("follow: no longer followed; the job goes on", file=sys.stderr)
        status = _INTERRUPTED
    return status


if __name__ == "__main__":
    sys.exit(main())

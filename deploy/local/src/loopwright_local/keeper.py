"""Keeps one part alive: waits for what it needs, starts it, sees it become ready, starts it again when it dies."""

import asyncio
import signal
import time
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from loopwright_local.errors import PartFailed
from loopwright_local.part import Part
from loopwright_local.processes import Child, launch

PROBE_EVERY_S = 0.1
FIRST_BACKOFF_S = 0.2
LONGEST_BACKOFF_S = 10.0
STEADY_AFTER_S = 60.0  # a part that was ready this long starts with a clean slate
TRIES_BEFORE_FIRST_READY = 3


class State(StrEnum):
    WAITING = "waiting"
    STARTING = "starting"
    READY = "ready"
    RESTARTING = "restarting"
    DONE = "done"
    FAILED = "failed"
    STOPPED = "stopped"


@dataclass(frozen=True)
class Limits:
    """How patient a keeper is.

    Attributes:
        restarts: Deaths in a row after which the part has failed.
        start_timeout_s: Longest wait from launch to ready, in seconds.
    """

    restarts: int = 10
    start_timeout_s: float = 300


@dataclass(frozen=True)
class Place:
    """Where a stack's processes run and write."""

    marker: str
    log_dir: Path
    cwd: Path


class Watcher(Protocol):
    """Is told of every turn in the lives of the parts."""

    def say(self, part: str, line: str) -> None:
        """Hear one line for a person."""
        ...

    def changed(self) -> None:
        """Hear that the state of some part is another one now."""
        ...


class Keeper:
    """The life of one part."""

    def __init__(self, part: Part, place: Place, *, limits: Limits, watcher: Watcher) -> None:
        self.part = part
        self.state = State.WAITING
        self.ready = asyncio.Event()
        self.ready_after_s: float | None = None
        self.deaths = 0
        self.child: Child | None = None
        self._place = place
        self._limits = limits
        self._watcher = watcher
        self._died = asyncio.Event()
        self._was_ready = False

    @property
    def log_file(self) -> Path:
        return self._place.log_dir / f"{self.part.name}.log"

    async def keep(self) -> None:
        """Run the part until cancelled; a part that runs once returns when it has ended well.

        Raises:
            PartFailed: it cannot be started or died too often.
        """
        while True:
            self._turn(State.STARTING)
            status = await self._live_once()
            if self.part.once and status == 0:
                return
            self.deaths += 1
            if self.part.once or self.deaths >= self._allowed_deaths():
                self._turn(State.FAILED)
                raise PartFailed(f"{self.part.name}: {_how_it_ended(status)}, {self._last_words()}")
            pause_s = min(FIRST_BACKOFF_S * 2 ** (self.deaths - 1), LONGEST_BACKOFF_S)
            self._turn(State.RESTARTING)
            self._watcher.say(self.part.name, f"{_how_it_ended(status)}; starts again in {pause_s:.1f} s")
            await asyncio.sleep(pause_s)

    async def kill(self) -> None:
        """Kill the part's process as `kill -9` does, and return once that has been noticed."""
        if self.child is None or self.child.status is not None:
            raise PartFailed(f"{self.part.name} does not run")
        self._died.clear()
        self.child.send(signal.SIGKILL)
        await self._died.wait()

    async def stop(self) -> None:
        """End the part; `keep` must have been cancelled before."""
        if self.child is not None:
            await self.child.end(self.part.stop_signal, timeout_s=self.part.stop_timeout_s)
        if self.state is not State.FAILED:
            self._turn(State.STOPPED)

    async def _live_once(self) -> int:
        """Start the part, wait for its end and return its exit status."""
        began = time.monotonic()
        if self.part.prepare:
            await self.part.prepare()
        child = self.child = launch(self.part, marker=self._place.marker, log_file=self.log_file, cwd=self._place.cwd)
        ended = asyncio.create_task(child.wait())
        getting_ready = asyncio.create_task(self._wait_until_ready())
        try:
            await asyncio.wait({ended, getting_ready}, return_when=asyncio.FIRST_COMPLETED)
            if getting_ready.done():
                getting_ready.result()
                self._count_as_ready(time.monotonic() - began)
            status = await ended
            if self.part.once and status == 0:
                self._count_as_ready(time.monotonic() - began)
            return status
        finally:
            getting_ready.cancel()
            ended.cancel()
            self._forget_life()

    async def _wait_until_ready(self) -> None:
        """Return once the part is ready; never for a part that runs once, whose end counts."""
        if self.part.ready is None:
            await asyncio.Event().wait()
            return
        try:
            async with asyncio.timeout(self._limits.start_timeout_s):
                while not await self.part.ready():  # noqa: ASYNC110  # another process cannot set an event
                    await asyncio.sleep(PROBE_EVERY_S)
        except TimeoutError as error:
            message = f"{self.part.name}: not ready after {self._limits.start_timeout_s:.0f} s, {self._last_words()}"
            raise PartFailed(message) from error
        if self.part.settle:
            await self.part.settle()

    def _count_as_ready(self, seconds: float) -> None:
        self.ready_after_s = seconds
        self._was_ready = True
        self._turn(State.DONE if self.part.once else State.READY)
        self.ready.set()
        self._watcher.say(
            self.part.name, f"{'done' if self.part.once else 'ready'} after {seconds:.1f} s  {self.part.url}"
        )

    def _forget_life(self) -> None:
        if self.child is None or self.child.status is None:
            return
        if not self.part.once:
            self.ready.clear()
            self.child.kill_group()
        if time.monotonic() - self.child.started_at > STEADY_AFTER_S:
            self.deaths = 0
        self._died.set()

    def _allowed_deaths(self) -> int:
        return self._limits.restarts if self._was_ready else min(TRIES_BEFORE_FIRST_READY, self._limits.restarts)

    def _turn(self, state: State) -> None:
        self.state = state
        self._watcher.changed()

    def _last_words(self, lines: int = 15) -> str:
        try:
            tail = self.log_file.read_text(errors="replace").splitlines()[-lines:]
        except OSError:
            tail = []
        return f"last lines of {self.log_file}:\n" + "\n".join(f"    {line}" for line in tail)


def _how_it_ended(status: int) -> str:
    return f"killed by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"

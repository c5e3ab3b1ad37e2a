"""Several workers on one port: each is a process of its own, and their parent sees that there are always so many.

The parent has loaded all code and started no thread: a worker is forked from it in milliseconds, and shares that memory.
"""

import asyncio
import gc
import multiprocessing
import os
import signal
import socket
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkContext, ForkProcess
from pathlib import Path
from threading import Event

import structlog

from router_svc.adapters.listening import Listeners

_LOOK_S = 0.5
_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 10.0
_STEADY_S = 10.0  # a worker that lived for so long did not die of its start
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_log = structlog.get_logger()


class _Word(StrEnum):
    """What a worker and its parent tell each other."""

    READY = "ready"  # the worker knows its tasks
    LISTEN = "listen"  # its parent's answer
    LEAVING = "leaving"  # the worker takes what still comes, and ends


@dataclass(frozen=True, slots=True)
class Post:
    """What a worker is given for its life.

    Attributes:
        number: Of its socket among all of them; its successor has the same.
        parent: Process id.
        figures: Folder where the workers put their figures together.
    """

    number: int
    parent: int
    listening: socket.socket
    line: Connection
    figures: Path

    async def take(self) -> None:
        """Tells the parent that this worker knows its tasks, and returns when it is to listen."""
        with suppress(OSError, EOFError):  # the parent is gone, or ends this worker in a moment
            self.line.send(_Word.READY)
            await asyncio.to_thread(self.line.recv)

    def leave(self) -> None:
        """Tells the parent that no new connection should come here."""
        with suppress(OSError):
            self.line.send(_Word.LEAVING)

    async def watch_parent(self) -> None:
        """Returns when the parent is gone: nobody would end this worker then."""
        while os.getppid() == self.parent:  # noqa: ASYNC110 - the end of a process is no event
            await asyncio.sleep(_LOOK_S)


Serve = Callable[[Post], None]


class Workers:
    """Keeps a worker running on each socket until a signal; one that dies is started again, more slowly if it dies at once.

    Args:
        serve: What a worker does, in its process.
        figures: Folder where the workers put their figures together.
        grace_s: For workers to finish what runs, when all end.
    """

    def __init__(self, listeners: Listeners, serve: Serve, *, figures: Path, grace_s: float) -> None:
        self._listeners = listeners
        self._grace_s = grace_s
        self._serve = serve
        context = multiprocessing.get_context("fork")
        self._seats = [
            _Seat(context, self._work, number=number, listening=listening, figures=figures)
            for number, listening in enumerate(listeners.sockets)
        ]
        self._stopping = Event()

    def run(self) -> None:
        for number in _SIGNALS:
            signal.signal(number, lambda *_: self._stopping.set())
        gc.freeze()  # what is never looked at again stays shared
        while not self._stopping.is_set():
            for seat in self._seats:
                seat.fill(time.monotonic())
            wait([handle for seat in self._seats for handle in seat.handles()], timeout=_LOOK_S)
            for seat in self._seats:
                seat.look(time.monotonic())
            self._listeners.choose([seat.number for seat in self._seats if seat.serves])
            for seat in self._seats:
                seat.greet()
        self._end()

    def _work(self, post: Post) -> None:
        """A worker's whole life; what was its parent's and is not for it goes first."""
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        self._listeners.close(but=post.number)
        for seat in self._seats:
            seat.hang_up()
        self._serve(post)

    def _end(self) -> None:
        self._listeners.close()  # nobody takes over what comes now: the workers themselves empty their queues
        for seat in self._seats:
            seat.end()
        until = time.monotonic() + self._grace_s
        for seat in self._seats:
            seat.bury(until)


class _Seat:
    """One socket and the worker on it, if there is one now.

    Attributes:
        serves: Whether new connections may come to it.
    """

    def __init__(
        self, context: ForkContext, serve: Serve, *, number: int, listening: socket.socket, figures: Path
    ) -> None:
        self.number = number
        self.serves = False
        self._context = context
        self._serve = serve
        self._listening = listening
        self._figures = figures
        self._worker: ForkProcess | None = None
        self._line: Connection | None = None
        self._waits = False  # to be told to listen
        self._begun = 0.0
        self._due = 0.0
        self._pause_s = _FIRST_PAUSE_S

    def fill(self, now: float) -> None:
        """Starts a worker if there is none and it is time."""
        if self._worker is not None or now < self._due:
            return
        self._line, theirs = self._context.Pipe()
        post = Post(self.number, os.getpid(), self._listening, theirs, self._figures)
        self._worker = self._context.Process(target=self._serve, args=(post,))
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)  # else a worker could take one for its parent's, and live on
        self._worker.start()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        theirs.close()
        self._begun = now
        _log.info("worker.starts", pid=self._worker.pid)

    def handles(self) -> Iterable[int | Connection]:
        """What tells of changes."""
        if self._worker is not None:
            yield self._worker.sentinel
        if self._line is not None:
            yield self._line

    def look(self, now: float) -> None:
        """Takes note of what the worker says, and of its end."""
        self._hear()
        worker = self._worker
        if worker is None or worker.is_alive():
            return
        _log.warning("worker.ended", pid=worker.pid, exit_code=worker.exitcode)
        if worker.exitcode == 0 or now - self._begun > _STEADY_S:
            self._pause_s, self._due = _FIRST_PAUSE_S, now
        else:
            self._pause_s, self._due = min(self._pause_s * 2, _LONGEST_PAUSE_S), now + self._pause_s
        self._forget()

    def greet(self) -> None:
        """Lets a worker listen that knows its tasks; its socket may be chosen already."""
        if self._waits and self._line is not None:
            self._waits = False
            with suppress(OSError):
                self._line.send(_Word.LISTEN)

    def end(self) -> None:
        if self._worker is not None:
            self._worker.terminate()
        self.hang_up()

    def bury(self, until: float) -> None:
        """Waits for the worker's end, and brings it about at last."""
        worker = self._worker
        if worker is None:
            return
        worker.join(max(0.1, until - time.monotonic()))
        if worker.is_alive():
            worker.kill()
            worker.join()

    def _hear(self) -> None:
        try:
            while self._line is not None and self._line.poll():
                self.serves = self._waits = self._line.recv() == _Word.READY
        except (OSError, EOFError):
            self.hang_up()

    def _forget(self) -> None:
        assert self._worker is not None
        self._worker.close()
        self._worker = None
        self.hang_up()

    def hang_up(self) -> None:
        """Lets go of the line to the worker."""
        self.serves = self._waits = False
        if self._line is not None:
            self._line.close()
            self._line = None

"""Followers of jobs: one look at the rows serves all of them, and each job has seats for so many."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus

import structlog
from fastapi import HTTPException

from loopwright.errors import DependencyError
from loopwright.unit_of_work import PostgresWork
from trainer_svc.handlers.watching import Standing, read_standings

_log = structlog.get_logger()
LOOK_EVERY_S = 0.5


@dataclass
class Watch:
    """A job that somebody follows.

    Attributes:
        standing: As last seen; None before the first look, and once the job is deleted.
        version: Rises with every change.
    """

    standing: Standing | None = None
    version: int = 0
    followers: int = 0
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def see(self, standing: Standing | None) -> None:
        """Wakes the followers if something changed."""
        if self.version == 0 or standing != self.standing:
            self.standing = standing
            self.version += 1
            self.wake()

    def wake(self) -> None:
        self.changed.set()
        self.changed = asyncio.Event()


class Followers:
    """Everybody who follows a job here.

    Args:
        per_job: Most followers of one job.
        in_all: Most followers of all jobs.
        stopping: Whether the server is shutting down; streams then end, for it waits for them.
    """

    def __init__(
        self, work: PostgresWork, *, per_job: int = 20, in_all: int = 200, stopping: Callable[[], bool] = lambda: False
    ) -> None:
        self._work = work
        self._per_job = per_job
        self._in_all = in_all
        self._stopping = stopping
        self._watched: dict[str, Watch] = {}
        self._asked = asyncio.Event()
        self._looking: asyncio.Task[None] | None = None
        self.stopped = False

    @property
    def count(self) -> int:
        return sum(watch.followers for watch in self._watched.values())

    @asynccontextmanager
    async def seat(self, job_id: str) -> AsyncGenerator[Watch]:
        """A place among the followers of a job, until the block is left.

        Raises:
            HTTPException: 429, all places are taken.
        """
        watch = self._watched.get(job_id) or Watch()
        if watch.followers >= self._per_job or self.count >= self._in_all:
            detail = f"job {job_id} has {watch.followers} followers here, and there are {self.count} in all: try later"
            raise HTTPException(HTTPStatus.TOO_MANY_REQUESTS, detail, headers={"Retry-After": "10"})
        self._watched[job_id] = watch
        watch.followers += 1
        self._asked.set()
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look_on(), name="followers")
        try:
            yield watch
        finally:
            watch.followers -= 1
            if watch.followers == 0:
                del self._watched[job_id]

    async def news(self, watch: Watch, *, after: int) -> bool:
        """Waits until a job has another version than this; False if that will not be seen any more."""
        while not self.stopped and watch.version == after:
            await watch.changed.wait()
        return not self.stopped

    async def _look_on(self) -> None:
        """Looks as long as there are followers."""
        while self._watched and not self.stopped:
            self._asked.clear()
            self.stopped = self._stopping()
            try:
                await self._look()
            except DependencyError:  # the database is away: what is known stays until it is back
                pass
            except Exception:  # noqa: BLE001 - followers wait for what is seen here
                _log.exception("followers.cannot-look")
            if self.stopped:
                for watch in self._watched.values():
                    watch.wake()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._asked.wait(), LOOK_EVERY_S)

    async def _look(self) -> None:
        watched = dict(self._watched)  # others may come while the database answers
        async with self._work() as unit:
            seen = await read_standings(unit.session, tuple(watched))
        for job_id, watch in watched.items():
            watch.see(seen.get(job_id))

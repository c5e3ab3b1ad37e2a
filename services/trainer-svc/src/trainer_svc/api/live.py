"""HTTP door to what jobs do now: their logs in parts and as a stream, their figures as series, where they stand as a stream."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Annotated

import anyio.to_thread
import structlog
from anyio import CapacityLimiter
from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi.sse import EventSourceResponse, ServerSentEvent

from loopwright.auth import Viewer
from loopwright.contracts.base import Identifier
from loopwright.problems import ADMIN_PROBLEMS, declared
from loopwright.unit_of_work import PostgresWork
from trainer_svc.adapters.log_files import LogPart, LogTail, News, read_from, read_last
from trainer_svc.api.following import Followers, Watch
from trainer_svc.api.live_schemas import Ended, LogLines, LogPage, Notice, Series, SeriesPoint, SeriesSet
from trainer_svc.domain.series import FEWEST_POINTS, downsample
from trainer_svc.handlers.watching import Standing, check_metric_names, read_series, read_standing

_PROBLEMS = ADMIN_PROBLEMS | declared(HTTPStatus.TOO_MANY_REQUESTS)
live_routes = APIRouter(prefix="/api/v1/admin/finetuning/jobs", tags=["jobs"], responses=ADMIN_PROBLEMS)

_LOG = "log.txt"
_FURTHEST = (1 << 63) - 1
_COME_BACK_MS = 1000  # after this, a follower whose stream broke off asks again
_log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class LiveDoor:
    """What the routes use, put onto the app by `main.py`.

    Attributes:
        worker: Name of the worker that works in `work_dir`.
        look_every_s: Time between two looks into a log that somebody follows.
        longest_s: After this a stream ends and is asked for again: with a token that is still good.
        threads: All followers read their logs in so many threads.
    """

    work: PostgresWork
    followers: Followers
    work_dir: Path
    worker: str
    look_every_s: float = 0.4
    longest_s: float = 1800
    threads: CapacityLimiter


def _live_door(request: Request) -> LiveDoor:
    door = request.app.state.live
    assert isinstance(door, LiveDoor), "main.py sets it"
    return door


Door = Annotated[LiveDoor, Depends(_live_door)]


async def _standing(_: Viewer, door: Door, job_id: Identifier) -> Standing:
    async with door.work() as unit:
        return await read_standing(unit.session, job_id)


Known = Annotated[Standing, Depends(_standing)]


async def _seat(job: Known, door: Door) -> AsyncGenerator[Watch]:
    """Held until the answer was sent or the follower is gone."""
    async with door.followers.seat(job.job_id) as watch:
        yield watch


Seat = Annotated[Watch, Depends(_seat)]


@live_routes.get("/{job_id}/logs")  # noqa: FAST003 - the dependency takes it
async def get_logs(
    job: Known,
    door: Door,
    lines: Annotated[int, Query(ge=1, le=10_000, description="most lines")] = 200,
    offset: Annotated[int | None, Query(ge=0, le=_FURTHEST, description="byte to read on from, not the end")] = None,
    before: Annotated[int | None, Query(ge=0, le=_FURTHEST, description="byte before which the lines end")] = None,
) -> LogPage:
    """The last lines of the training process's log, or a part of it; at most 1 MiB."""
    path = door.work_dir / job.job_id / _LOG

    def read() -> LogPart:
        if offset is not None:
            return read_from(path, offset, lines=lines, whole=job.ended)
        return read_last(path, lines, before=before, whole=job.ended)

    part = await anyio.to_thread.run_sync(read)
    return LogPage(
        job_id=job.job_id, lines=part.lines, offset=part.start, next_offset=part.end, size_bytes=part.size_bytes,
        unfinished=part.unfinished, notice=_notice(job, door, size=part.size_bytes),
    )  # fmt: skip


def _notice(job: Standing, door: LiveDoor, *, size: int) -> str | None:
    """Why this may not be the whole log."""
    if job.lease_owner is not None and job.lease_owner != door.worker:
        return (
            f"worker {job.lease_owner} runs this job now and writes its log where it runs; "
            f"what stands here is what worker {door.worker} has of it"
        )
    if size > 0:
        return None
    if job.attempt == 0:
        return "the job has not begun"
    return f"worker {door.worker} has no log of this job: another one may have run it, or it wrote nothing yet"


async def _tail(
    job: Known,
    door: Door,
    lines: Annotated[int, Query(ge=0, le=10_000, description="lines before the present end to begin with")] = 200,
    after: Annotated[int | None, Query(ge=0, le=_FURTHEST, description="byte to begin at instead")] = None,
    last_event_id: Annotated[int | None, Header(ge=0, le=_FURTHEST, description="byte to go on at")] = None,
) -> AsyncGenerator[LogTail]:
    """The open log, closed once the answer was sent or the follower is gone."""
    position = after if last_event_id is None else last_event_id
    tail = LogTail(door.work_dir / job.job_id / _LOG, position=position, last_lines=lines)
    try:
        yield tail
    finally:
        tail.close()


@live_routes.get("/{job_id}/logs/stream", response_class=EventSourceResponse, responses=_PROBLEMS)  # noqa: FAST003 - the dependency takes it
async def follow_logs(
    job: Known, door: Door, watch: Seat, tail: Annotated[LogTail, Depends(_tail)]
) -> AsyncIterable[ServerSentEvent]:
    """The log as it is written, as server-sent events.

    `lines` (the id is the byte after them), `restart` when the log was cut or replaced, `notice` when it is written
    elsewhere, and `end` when the job has ended and everything was sent. A stream that ends without it is to be asked
    for again, with the last id in `Last-Event-ID`; browsers do that by themselves.
    """
    yield ServerSentEvent(comment="following", retry=_COME_BACK_MS)
    clock = asyncio.get_running_loop().time
    until, told = clock() + door.longest_s, None
    while clock() < until and not door.followers.stopped:
        job = watch.standing or job
        deleted = watch.version > 0 and watch.standing is None
        if (notice := _notice(job, door, size=1)) != told:
            told = notice
            yield ServerSentEvent(event="notice", data=Notice(text=notice or "its log is written here again"))
        # the state is older than what is read now: of a job that has ended, nothing is written after it
        news = await _read(tail, door, whole=job.ended or deleted)
        if news.restarted:
            yield ServerSentEvent(event="restart", data=Notice(text="the log was cut or replaced"), id=str(news.end))
        if news.lines:
            yield ServerSentEvent(event="lines", data=LogLines(lines=news.lines), id=str(news.end))
        elif (job.ended or deleted) and not news.restarted:
            yield ServerSentEvent(event="end", data=_end(job, deleted=deleted), id=str(news.end))
            return
        else:
            await asyncio.sleep(door.look_every_s)


async def _read(tail: LogTail, door: LiveDoor, *, whole: bool) -> News:
    try:
        return await anyio.to_thread.run_sync(lambda: tail.read(whole=whole), limiter=door.threads)
    except OSError as error:
        _log.warning("log.unreadable", reason=str(error))
        return News(end=tail.position)


def _end(job: Standing, *, deleted: bool) -> Ended:
    return Ended(job_id=job.job_id, state="deleted" if deleted else job.state, reason=job.reason)


@live_routes.get("/{job_id}/progress/stream", response_class=EventSourceResponse, responses=_PROBLEMS)  # noqa: FAST003 - the dependency takes it
async def follow_progress(job: Known, door: Door, watch: Seat) -> AsyncIterable[ServerSentEvent]:
    """Where the job stands, whenever that changes, as server-sent events: `progress`, and `end` when it has ended.

    A slow reader misses changes in between, never the last one.
    """
    yield ServerSentEvent(comment="following", retry=_COME_BACK_MS)
    version, until = 0, asyncio.get_running_loop().time() + door.longest_s
    while True:
        try:
            async with asyncio.timeout_at(until):
                if not await door.followers.news(watch, after=version):
                    return
        except TimeoutError:
            return
        version, now = watch.version, watch.standing
        if now is not None:
            job = now
            yield ServerSentEvent(event="progress", data=now)
        if now is None or now.ended:
            yield ServerSentEvent(event="end", data=_end(job, deleted=now is None))
            return


@live_routes.get("/{job_id}/metrics")  # noqa: FAST003 - the dependency takes it
async def get_metrics(
    job: Known,
    door: Door,
    names: Annotated[str, Query(max_length=500, description="separated by commas")] = "loss,validation_loss",
    max_points: Annotated[int, Query(ge=FEWEST_POINTS, le=5_000, description="most points of one series")] = 500,
    since_step: Annotated[int | None, Query(ge=0, le=(1 << 31) - 1, description="only later steps")] = None,
) -> SeriesSet:
    """Figures over the steps; long series keep their look in few points (largest triangle, three buckets)."""
    wanted = tuple(dict.fromkeys(name.strip() for name in names.split(",") if name.strip()))
    check_metric_names(wanted)
    found: list[Series] = []
    async with door.work() as unit:
        for name in wanted:
            total, points = await read_series(unit.session, job.job_id, name, since_step=since_step)
            kept = await anyio.to_thread.run_sync(downsample, points, max_points)
            shown = tuple(SeriesPoint(step=point.step, value=point.value, at=point.at) for point in kept)
            found.append(Series(name=name, total_points=total, points=shown))
    return SeriesSet(job_id=job.job_id, series=tuple(found))

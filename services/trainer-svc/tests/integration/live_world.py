"""The live door of trainer-svc on a real socket over real PostgreSQL; jobs are rows that tests move by hand."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
import httpx
import sqlalchemy as sa
import uvicorn
from fastapi import FastAPI
from pydantic import JsonValue

from loopwright.auth import TokenVerifier
from loopwright.contracts.base import RunState
from loopwright.contracts.jobs import JobRequested
from loopwright.contracts.registry import JOB_REQUESTED, Party
from loopwright.database import Database
from loopwright.problems import install_problem_handlers
from loopwright.testing.examples import an_event
from loopwright.testing.tokens import AUDIENCE, ISSUER, TokenMint
from loopwright.testing.waiting import eventually
from loopwright.unit_of_work import PostgresWork
from trainer_svc.api.following import Followers
from trainer_svc.api.live import LiveDoor, live_routes
from trainer_svc.store.tables import jobs, messaging, metadata, metrics

JOBS = "/api/v1/admin/finetuning/jobs"
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Sent:
    """A server-sent event."""

    event: str
    id: str | None
    data: dict[str, JsonValue]


class Stream:
    """A follower's view of an open stream; events come as they are asked for.

    Attributes:
        comments: Heartbeats and the like, so far.
    """

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self.comments: list[str] = []
        self._lines = response.aiter_lines()

    async def next(self, *, timeout_s: float = 10) -> Sent | None:
        """The next event; None at the end of the stream."""
        fields: dict[str, str] = {}
        async with asyncio.timeout(timeout_s):
            async for line in self._lines:
                name, _, value = line.partition(": ")
                if name == "":
                    if line:
                        self.comments.append(value)
                    elif "data" in fields:
                        return Sent(fields.get("event", "message"), fields.get("id"), json.loads(fields["data"]))
                else:
                    fields[name] = value
        return None

    async def rest(self, *, timeout_s: float = 10) -> list[Sent]:
        """Everything until the stream ends."""
        found: list[Sent] = []
        while (sent := await self.next(timeout_s=timeout_s)) is not None:
            found.append(sent)
        return found

    async def lines(self, count: int) -> list[str]:
        """So many lines of a log."""
        found: list[str] = []
        while len(found) < count:
            sent = await self.next()
            assert sent is not None, f"the stream ended after {found}"
            found += lines_in([sent])
        return found


def lines_in(sent: list[Sent]) -> list[str]:
    return [str(line) for event in sent if event.event == "lines" for line in list(event.data["lines"])]


class LiveWorld:
    """Everything that a test of the live door touches.

    Args:
        url: What the service reaches PostgreSQL by; a gate may stand before it.
        direct_url: What the test reaches it by.
    """

    def __init__(self, url: str, *, direct_url: str, work_dir: Path) -> None:
        self.mint = TokenMint()
        self.work_dir = work_dir
        self.database = Database(url, metadata, messaging)
        self.direct = Database(direct_url, metadata, messaging)
        work = PostgresWork(self.database, Party.TRAINER)
        self.followers = Followers(work, per_job=16, in_all=20, stopping=lambda: self.stopping)
        self.stopping = False
        self.app = FastAPI()
        self.app.state.token_verifier = TokenVerifier(self.mint.jwks, issuer=ISSUER, audience=AUDIENCE)
        self.app.state.live = LiveDoor(
            work=work, followers=self.followers, work_dir=work_dir, worker="here", threads=anyio.CapacityLimiter(2)
        )
        install_problem_handlers(self.app)
        self.app.include_router(live_routes)
        self.client = httpx.AsyncClient()

    def change_door(self, **changes: object) -> None:
        self.app.state.live = replace(self.app.state.live, **changes)

    @asynccontextmanager
    async def served(self) -> AsyncGenerator[None]:
        config = uvicorn.Config(self.app, host="127.0.0.1", port=0, log_config=None, access_log=False, lifespan="off")
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve())
        await eventually(lambda: asyncio.sleep(0, server.started))
        port: int = server.servers[0].sockets[0].getsockname()[1]
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
        headers = self.mint.header("viewer")
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}{JOBS}", limits=limits, headers=headers) as made:
            self.client = made
            yield
        self.stopping = server.should_exit = True
        await serving

    @asynccontextmanager
    async def follow(self, path: str, **headers: str) -> AsyncGenerator[Stream]:
        async with self.client.stream("GET", path, headers=headers, timeout=30) as response:
            assert response.status_code == 200, await response.aread()
            assert response.headers["content-type"].startswith("text/event-stream")
            yield Stream(response)

    async def a_job(self, job_id: str = "job-1", **values: object) -> None:
        request = an_event(JOB_REQUESTED, job_id=job_id)
        fields = {name: getattr(request, name) for name in JobRequested.model_fields if name in jobs.c}
        await self._write(sa.insert(jobs).values(**({**fields, "state": RunState.RUNNING, "attempt": 1} | values)))

    async def set_job(self, job_id: str = "job-1", **values: object) -> None:
        await self._write(sa.update(jobs).where(jobs.c.job_id == job_id).values(**values))

    async def end_job(self, job_id: str = "job-1", state: RunState = RunState.SUCCEEDED, **values: object) -> None:
        await self.set_job(job_id, state=state, finished_at=NOON, lease_owner=None, **values)

    async def delete_job(self, job_id: str = "job-1") -> None:
        await self._write(sa.delete(jobs).where(jobs.c.job_id == job_id))

    async def add_figures(self, *rows: dict[str, object], job_id: str = "job-1") -> None:
        """Rows of figures, a second apart."""
        standard: dict[str, object] = dict.fromkeys(column.name for column in metrics.c if column.nullable)
        standard |= {"job_id": job_id, "attempt": 1, "epoch": 0.0}
        filled = [standard | {"at": NOON + timedelta(seconds=number)} | row for number, row in enumerate(rows)]
        async with self.direct.engine.begin() as connection:
            await connection.execute(sa.insert(metrics), filled)

    async def write(self, text: str, job_id: str = "job-1", *, mode: str = "a") -> None:
        """Writes to a job's log as its process would."""
        path = self.log(job_id)
        path.parent.mkdir(parents=True, exist_ok=True)
        async with await anyio.open_file(path, mode) as file:
            await file.write(text)

    def log(self, job_id: str = "job-1") -> Path:
        return self.work_dir / job_id / "log.txt"

    async def nobody_follows(self) -> None:
        await eventually(lambda: asyncio.sleep(0, self.followers.count == 0), timeout_s=10)

    async def close(self) -> None:
        await self.database.close()
        await self.direct.close()

    async def _write(self, statement: sa.Executable) -> None:
        async with self.direct.engine.begin() as connection:
            await connection.execute(statement)

"""The terminal's follower against the real door, over a real socket, in a process of its own."""

import asyncio
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path

import pytest
import pytest_asyncio
from live_world import LiveWorld

from loopwright.auth import TokenVerifier
from loopwright.contracts.base import RunState
from loopwright_local.keys import AUDIENCE, ISSUER, ensure_keys

MigratedDatabase = Callable[[tuple[str, ...]], Awaitable[str]]


@pytest_asyncio.fixture
async def live(
    migrated_database: MigratedDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncGenerator[LiveWorld]:
    url = await migrated_database(("services/trainer-svc",))
    world = LiveWorld(url, direct_url=url, work_dir=tmp_path / "training")
    keys = ensure_keys(tmp_path / "keys")
    world.app.state.token_verifier = TokenVerifier.from_file(keys.public, issuer=ISSUER, audience=AUDIENCE)
    await world.a_job(lease_owner="here", total_steps=4)
    async with world.served():
        monkeypatch.setenv("LOCAL_DIR", str(tmp_path))
        monkeypatch.setenv("LOCAL_TRAINER_PORT", str(world.client.base_url.port))
        yield world
    await world.close()


async def begin(job_id: str = "job-1") -> asyncio.subprocess.Process:
    command = (sys.executable, "-m", "loopwright_local.follow", job_id)
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=pipe)


async def test_shows_a_job_to_its_end_and_exits_as_it_ended(live: LiveWorld) -> None:
    await live.write("loading\n")
    process = await begin()
    assert process.stdout is not None
    async with asyncio.timeout(60):
        while b"loading" not in await process.stdout.readline():
            pass
        await live.write("Traceback\n")
        await live.set_job(step=2, loss=0.5)
        await asyncio.sleep(0.8)
        await live.end_job(state=RunState.FAILED, reason="memory ran out")
        shown, complaints = await process.communicate()
    assert b"Traceback" in shown
    assert b"job-1 failed: memory ran out" in shown
    assert (process.returncode, complaints) == (1, b"")


async def test_of_an_unknown_job_says_so_and_exits_with_3(live: LiveWorld) -> None:
    process = await begin("job-0")
    async with asyncio.timeout(60):
        _, complaints = await process.communicate()
    assert (process.returncode, complaints) == (3, b"follow: there is no job job-0\n")
    assert live.followers.count == 0


async def test_without_a_stack_says_how_to_start_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_DIR", str(tmp_path))
    monkeypatch.setenv("LOCAL_TRAINER_PORT", "9")
    process = await begin()
    async with asyncio.timeout(60):
        _, complaints = await process.communicate()
    assert process.returncode == 3
    assert b"start it with `make up`" in complaints

"""A trainer-svc over real PostgreSQL, behind a gate that can be shut; its builders are in `trainer_world`."""

import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import pytest_asyncio

sys.path.insert(0, str(Path(__file__).parent))  # tests share builders, and are no package

from trainer_world import World

from loopwright.testing.gate import Gate
from trainer_svc.handlers.requests import stop_job

MigratedDatabase = Callable[[tuple[str, ...]], Awaitable[str]]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.integration)


@pytest_asyncio.fixture
async def gate(migrated_database: MigratedDatabase) -> AsyncGenerator[tuple[Gate, str]]:
    """The door through which the service reaches PostgreSQL, and the URL past it."""
    url = await migrated_database(("services/trainer-svc",))
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    async with Gate(parts.hostname, parts.port) as gate:
        yield gate, url


@pytest_asyncio.fixture
async def world(gate: tuple[Gate, str], storage_uri: str, tmp_path: Path) -> AsyncGenerator[World]:
    door, url = gate
    through = url.replace(f":{urlsplit(url).port}/", f":{door.port}/")
    world = World(through, direct_url=url, storage_uri=storage_uri, work_dir=tmp_path / "training")
    yield world
    await world.close()


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets training processes import `scripted_recipe`."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))


@pytest.fixture
def stop(world: World) -> Callable[[str], Awaitable[None]]:
    """Function that asks for the end of a job."""

    async def ask(job_id: str) -> None:
        async with world.work() as unit:
            await stop_job(unit, job_id)

    return ask

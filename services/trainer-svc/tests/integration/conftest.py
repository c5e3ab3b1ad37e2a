"""A trainer-svc over real PostgreSQL, behind a gate that can be shut; its builders are in `trainer_world`."""

import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path
from urllib.parse import urlsplit

import anyio
import httpx
import pytest
import pytest_asyncio
from pydantic import SecretStr

sys.path.insert(0, str(Path(__file__).parent))  # tests share builders, and are no package

from trainer_world import MODELS, World

from loopwright.service import Service
from loopwright.settings import CommonSettings
from loopwright.testing.gate import Gate
from loopwright.testing.tokens import AUDIENCE, ISSUER, TokenMint
from trainer_svc.handlers.requests import stop_job
from trainer_svc.main import build
from trainer_svc.settings import Settings

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


@pytest.fixture
def mint() -> TokenMint:
    return TokenMint()


@pytest_asyncio.fixture
async def service(world: World, mint: TokenMint, tmp_path: Path) -> AsyncGenerator[Service]:
    """The whole service, without its background work."""
    jwks = anyio.Path(tmp_path / "jwks.json")
    await jwks.write_text(mint.jwks)
    common = CommonSettings(
        database_url=SecretStr(world.url), storage_uri=world.storage_uri, auth_jwks_file=Path(jwks),
        auth_issuer=ISSUER, auth_audience=AUDIENCE,
    )  # fmt: skip
    service = build(common, Settings(work_dir=world.work_dir, base_models=MODELS))
    yield service
    assert service.database is not None
    await service.database.close()


@pytest_asyncio.fixture
async def api(service: Service) -> AsyncGenerator[httpx.AsyncClient]:
    """Its HTTP door."""
    transport = httpx.ASGITransport(service.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://trainer") as client:
        yield client

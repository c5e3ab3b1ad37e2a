"""A feedback-svc over real PostgreSQL, behind a gate that can be shut; its builders are in `feedback_world`."""

import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
import pytest_asyncio
from aiokafka import AIOKafkaProducer
from pydantic import SecretStr

sys.path.insert(0, str(Path(__file__).parent))  # tests share builders, and are no package

from feedback_world import World
from service_process import ServiceProcess

from feedback_svc.main import build
from feedback_svc.settings import Settings
from loopwright.sealing import KeyFile
from loopwright.settings import CommonSettings
from loopwright.testing.gate import Gate
from loopwright.testing.tokens import AUDIENCE, ISSUER, TokenMint
from loopwright.topics import create_missing_topics


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.integration)


@pytest_asyncio.fixture
async def gate(migrated_database: Callable[[tuple[str, ...]], Awaitable[str]]) -> AsyncGenerator[tuple[Gate, str]]:
    """The door through which the service reaches PostgreSQL, and the URL past it."""
    url = await migrated_database(("services/feedback-svc",))
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    async with Gate(parts.hostname, parts.port) as gate:
        yield gate, url


@pytest.fixture
def keys_file() -> Path | None:
    """With none, words and objects lie plain."""
    return None


@pytest_asyncio.fixture
async def world(gate: tuple[Gate, str], storage_uri: str, keys_file: Path | None) -> AsyncGenerator[World]:
    door, url = gate
    by_gate = url.replace(f":{urlsplit(url).port}/", f":{door.port}/")
    keys = None if keys_file is None else KeyFile(keys_file)
    world = World(by_gate, direct_url=url, storage_uri=storage_uri, keys=keys)
    yield world
    await world.close()


@pytest.fixture
def mint() -> TokenMint:
    return TokenMint()


@pytest.fixture
def common(world: World, mint: TokenMint, tmp_path: Path, keys_file: Path | None) -> CommonSettings:
    jwks = tmp_path / "jwks.json"
    jwks.write_text(mint.jwks)
    return CommonSettings(
        database_url=SecretStr(world.url), storage_uri=world.storage_uri, storage_keys_file=keys_file,
        auth_jwks_file=jwks, auth_issuer=ISSUER, auth_audience=AUDIENCE, retry_attempts=3, retry_first_delay_s=0.05,
    )  # fmt: skip


@pytest_asyncio.fixture
async def api(common: CommonSettings) -> AsyncGenerator[httpx.AsyncClient]:
    """The HTTP door of the whole service, without its background work."""
    service = build(common, Settings())
    transport = httpx.ASGITransport(service.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://feedback") as client:
        yield client
    assert service.database is not None
    await service.database.close()


@pytest_asyncio.fixture
async def producer(kafka_bootstrap: str) -> AsyncGenerator[AIOKafkaProducer]:
    """Writes to the platform's topics, which exist from then on."""
    await create_missing_topics(kafka_bootstrap, replication=1)
    producer = AIOKafkaProducer(bootstrap_servers=kafka_bootstrap, acks="all", enable_idempotence=True)
    await producer.start()
    yield producer
    await producer.stop()


@pytest_asyncio.fixture
async def process(
    world: World, common: CommonSettings, kafka_bootstrap: str, tmp_path: Path
) -> AsyncGenerator[ServiceProcess]:
    """The real service, not started yet."""
    env = {
        "LOOPWRIGHT_DATABASE_URL": world.direct_url,
        "LOOPWRIGHT_KAFKA_BOOTSTRAP": kafka_bootstrap,
        "LOOPWRIGHT_STORAGE_URI": world.storage_uri,
        "LOOPWRIGHT_AUTH_JWKS_FILE": str(common.auth_jwks_file),
        "LOOPWRIGHT_AUTH_ISSUER": ISSUER,
        "LOOPWRIGHT_AUTH_AUDIENCE": AUDIENCE,
        "LOOPWRIGHT_RETRY_ATTEMPTS": "4",
        "LOOPWRIGHT_RETRY_FIRST_DELAY_S": "0.1",
    }
    process = ServiceProcess(env, log_file=tmp_path / "feedback.log")
    yield process
    process.stop()

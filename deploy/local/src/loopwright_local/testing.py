"""pytest plugin of the whole workspace: real servers, a database for every test, no network for unit tests.

Servers start when a test first asks for them, once a session, on random ports.

Fixtures: `kafka_bootstrap`, `postgres_admin_url`, `mlflow_uri`, `storage_uri`, `database_url`, `migrated_database`.
"""

import asyncio
import sys
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio
from pytest_socket import disable_socket, enable_socket

from loopwright_local.processes import run_as
from loopwright_local.settings import ROOT, LocalSettings
from loopwright_local.stack import LocalStack

UNIT_FOLDER = "unit"
MigratedDatabase = Callable[[tuple[str, ...]], Awaitable[str]]


def settings_for_tests(folder: Path, *parts: str) -> LocalSettings:
    """Return settings of a stack of only these parts, on free ports, below `folder`."""
    settings = LocalSettings(dir=folder, postgres_fsync=False).with_free_ports()
    return settings.with_only(*parts) if parts else settings


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def kafka_bootstrap(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[str]:
    """host:port of one real broker."""
    settings = settings_for_tests(tmp_path_factory.mktemp("kafka"), "kafka")
    async with LocalStack(settings, quiet=True) as stack:
        yield stack.urls.kafka_bootstrap


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def postgres_admin_url(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[str]:
    """postgresql+asyncpg:// URL of one real server, as its superuser; do not leave tables in the database it names."""
    settings = settings_for_tests(tmp_path_factory.mktemp("postgres"), "postgres")
    async with LocalStack(settings, quiet=True) as stack:
        yield stack.urls.database


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def mlflow_uri(tmp_path_factory: pytest.TempPathFactory, postgres_admin_url: str) -> AsyncGenerator[str]:
    """http:// URI of one real MLflow server over the session's PostgreSQL; takes about ten seconds to start."""
    settings = settings_for_tests(tmp_path_factory.mktemp("mlflow"), "mlflow")
    async with LocalStack(settings.model_copy(update={"database_url": postgres_admin_url}), quiet=True) as stack:
        yield stack.urls.mlflow


@pytest.fixture
def storage_uri(tmp_path: Path) -> str:
    """file:// URI of an empty folder."""
    folder = tmp_path / "storage"
    folder.mkdir()
    return folder.as_uri()


@pytest_asyncio.fixture(loop_scope="session")
async def database_url(postgres_admin_url: str) -> AsyncGenerator[str]:
    """postgresql+asyncpg:// URL of an empty database with pgvector, dropped after the test."""
    url = await _clone(postgres_admin_url, template=_name_in(postgres_admin_url))
    yield url
    await _drop(postgres_admin_url, url)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def migrated_templates(postgres_admin_url: str) -> AsyncGenerator[dict[tuple[str, ...], str]]:
    """URLs of migrated databases by service folders, filled by `migrated_database`."""
    templates: dict[tuple[str, ...], str] = {}
    yield templates
    for url in templates.values():
        await _drop(postgres_admin_url, url)


@pytest_asyncio.fixture(loop_scope="session")
async def migrated_database(
    postgres_admin_url: str, migrated_templates: dict[tuple[str, ...], str]
) -> AsyncGenerator[MigratedDatabase]:
    """Function that makes a database with the tables of some services, from a tuple like `("services/dataset-svc",)`.

    Migrations run once a session for each set of services; every test gets a copy, dropped after the test.
    """
    made: list[str] = []

    async def make(service_dirs: tuple[str, ...]) -> str:
        if service_dirs not in migrated_templates:
            template = await _clone(postgres_admin_url, template=_name_in(postgres_admin_url))
            await asyncio.to_thread(_migrate, template, service_dirs)
            migrated_templates[service_dirs] = template
        url = await _clone(postgres_admin_url, template=_name_in(migrated_templates[service_dirs]))
        made.append(url)
        return url

    yield make
    for url in made:
        await _drop(postgres_admin_url, url)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Block sockets for unit tests; the event loop wakes itself through a UNIX socket pair."""
    if UNIT_FOLDER in item.path.relative_to(item.config.rootpath).parts:
        disable_socket(allow_unix_socket=True)


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown() -> None:
    enable_socket()


def _migrate(url: str, service_dirs: tuple[str, ...]) -> None:
    run_as(
        None,
        "migrations",
        (sys.executable, "-m", "loopwright.migrations", *service_dirs),
        env={"LOOPWRIGHT_DATABASE_URL": url},
        cwd=ROOT,
    )


async def _clone(admin_url: str, *, template: str) -> str:
    name = f"test_{uuid.uuid4().hex[:12]}"
    await _execute(admin_url, f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    return f"{admin_url.rpartition('/')[0]}/{name}"


async def _drop(admin_url: str, url: str) -> None:
    await _execute(admin_url, f'DROP DATABASE "{_name_in(url)}" WITH (FORCE)')


async def _execute(admin_url: str, statement: str) -> None:
    # from the database `postgres`: one cannot copy a database that somebody is connected to
    connection = await asyncpg.connect(f"{admin_url.replace('+asyncpg', '').rpartition('/')[0]}/postgres")
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def _name_in(url: str) -> str:
    return url.rpartition("/")[2]

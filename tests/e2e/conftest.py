"""One whole stack for all end-to-end tests, on free ports, in a folder of its own."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
import pytest_asyncio

from loopwright_local.settings import ROOT, LocalSettings
from loopwright_local.stack import LocalStack


@pytest.fixture(scope="session")
def e2e_settings(tmp_path_factory: pytest.TempPathFactory) -> LocalSettings:
    folder: Path = tmp_path_factory.mktemp("stack")
    settings = LocalSettings().model_copy(
        update={"dir": folder, "tasks_dir": ROOT / "tests/e2e/tasks", "postgres_fsync": True}
    )
    return settings.with_free_ports()


@pytest_asyncio.fixture(scope="session")
async def stack(e2e_settings: LocalSettings) -> AsyncGenerator[LocalStack]:
    async with asyncio.timeout(600):
        running = LocalStack(e2e_settings, quiet=True)
        await running.__aenter__()
    try:
        yield running
    finally:
        await running.__aexit__(None, None, None)

"""Tables in the code and tables of the migrations are the same."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from alembic import command

from loopwright.migrations import config_for

FOLDER = "services/trainer-svc"
MigratedDatabase = Callable[[tuple[str, ...]], Awaitable[str]]


async def test_models_agree_with_migrations(migrated_database: MigratedDatabase) -> None:
    url = await migrated_database((FOLDER,))
    await asyncio.to_thread(command.check, config_for(Path(FOLDER), url))


async def test_migrations_can_be_taken_back(migrated_database: MigratedDatabase) -> None:
    config = config_for(Path(FOLDER), await migrated_database((FOLDER,)))
    await asyncio.to_thread(command.downgrade, config, "base")
    await asyncio.to_thread(command.upgrade, config, "head")
    await asyncio.to_thread(command.check, config)

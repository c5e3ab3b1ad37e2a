"""Tables in code and in migrations are the same, and migrations lead back to nothing."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from sqlalchemy.ext.asyncio import create_async_engine

from loopwright.migrations import config_for

SERVICE = Path(__file__).parents[2]
Migrated = Callable[[tuple[str, ...]], Awaitable[str]]


async def test_models_agree_with_migrations(migrated_database: Migrated) -> None:
    url = await migrated_database(("services/feedback-svc",))
    await asyncio.to_thread(command.check, config_for(SERVICE, url))


async def test_a_downgrade_removes_every_table(migrated_database: Migrated) -> None:
    url = await migrated_database(("services/feedback-svc",))
    await asyncio.to_thread(command.downgrade, config_for(SERVICE, url), "base")
    engine = create_async_engine(url)
    query = "SELECT count(*) FROM pg_tables WHERE schemaname = 'feedback' AND tablename <> 'alembic_version'"
    async with engine.connect() as connection:
        assert (await connection.execute(sa.text(query))).scalar_one() == 0
    await engine.dispose()

"""Tables in the code and tables of the migrations are the same."""

import asyncio
from pathlib import Path

import pytest
from alembic import command

from loopwright.migrations import config_for

pytestmark = pytest.mark.integration
FOLDER = "services/dataset-svc"


async def test_models_agree_with_migrations(migrated_database):
    url = await migrated_database((FOLDER,))
    await asyncio.to_thread(command.check, config_for(Path(FOLDER), url))


async def test_migrations_can_be_taken_back(migrated_database):
    url = await migrated_database((FOLDER,))
    config = config_for(Path(FOLDER), url)
    await asyncio.to_thread(command.downgrade, config, "base")
    await asyncio.to_thread(command.upgrade, config, "head")
    await asyncio.to_thread(command.check, config)

"""Tables of documents and knowledge bases in the code and in the migrations are the same."""

import asyncio
from pathlib import Path

import pytest
from alembic import command

from dataset_svc.store.knowledge_tables import DocumentRow
from loopwright.migrations import config_for

pytestmark = pytest.mark.integration
FOLDER = "services/dataset-svc"


async def test_models_agree_with_migrations_and_these_can_be_taken_back(migrated_database):
    assert DocumentRow.__tablename__ in {table.name for table in DocumentRow.metadata.sorted_tables}
    config = config_for(Path(FOLDER), await migrated_database((FOLDER,)))
    await asyncio.to_thread(command.check, config)
    await asyncio.to_thread(command.downgrade, config, "dataset_0003")
    await asyncio.to_thread(command.upgrade, config, "head")
    await asyncio.to_thread(command.check, config)

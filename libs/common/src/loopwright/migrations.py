"""Brings service schemas up to date: `python -m loopwright.migrations services/dataset-svc ...`.

Each service folder holds `migrations/` with Alembic revisions; its `env.py` is one call of `run_env`.
"""

import asyncio
import sys
from pathlib import Path

import sqlalchemy as sa
from alembic import command, context
from alembic.config import Config
from alembic.operations import Operations
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from loopwright.settings import CommonSettings

_LOCK_TIMEOUT = "5s"
_STATEMENT_TIMEOUT = "60s"


def config_for(service_dir: Path, database_url: str) -> Config:
    """Alembic's configuration for a service folder."""
    config = Config()
    config.set_main_option("script_location", str(service_dir / "migrations"))
    config.attributes["database_url"] = database_url
    return config


def upgrade(service_dir: Path, database_url: str) -> None:
    """Applies a service's missing revisions."""
    command.upgrade(config_for(service_dir, database_url), "head")


def run_env(metadata: sa.MetaData) -> None:
    """The whole of a service's `env.py`: runs revisions inside the service's own schema."""
    url: str = context.config.attributes["database_url"]
    asyncio.run(_run_online(url, metadata))


async def _run_online(url: str, metadata: sa.MetaData) -> None:
    engine = create_async_engine(url, poolclass=NullPool)
    try:
        async with engine.connect() as connection:
            await connection.run_sync(_run, metadata)
            await connection.commit()
    finally:
        await engine.dispose()


def _run(connection: Connection, metadata: sa.MetaData) -> None:
    schema = metadata.schema
    assert schema is not None
    connection.execute(sa.text(f'CREATE SCHEMA IF NOT EXISTS "{schema}"'))
    connection.execute(sa.text(f"SET lock_timeout = '{_LOCK_TIMEOUT}'"))
    connection.execute(sa.text(f"SET statement_timeout = '{_STATEMENT_TIMEOUT}'"))
    connection.commit()
    context.configure(
        connection=connection,
        target_metadata=metadata,
        version_table_schema=schema,
        include_schemas=True,
        include_name=lambda name, kind, _parents: kind != "schema" or name == schema,
        compare_type=True,
    )
    with context.begin_transaction():
        context.run_migrations()


def create_messaging_tables_v1(op: Operations, schema: str) -> None:
    """Outbox and inbox as first released; frozen: revisions call it, so a later shape gets a function of its own."""
    op.create_table(
        "outbox",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("topic", sa.Text, nullable=False),
        sa.Column("key", sa.LargeBinary),
        sa.Column("value", sa.LargeBinary),
        sa.Column("headers", JSONB, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        schema=schema,
    )
    op.create_table(
        "inbox",
        sa.Column("consumer_group", sa.Text, primary_key=True),
        sa.Column("event_id", sa.Text, primary_key=True),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        schema=schema,
    )


def main() -> None:
    settings = CommonSettings()
    for folder in sys.argv[1:]:
        upgrade(Path(folder).resolve(), settings.database_url.get_secret_value())


if __name__ == "__main__":
    main()

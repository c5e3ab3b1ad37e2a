"""vLLM servers that registry-svc starts for whole models."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from registry_svc.domain.launching import ModelServer, ServerState
from registry_svc.domain.models import VariantId
from registry_svc.store.tables import model_servers

_columns = model_servers.c


def _server(row: sa.Row[tuple[object, ...]]) -> ModelServer:
    return ModelServer(
        served_name=row.served_name,
        variant=VariantId(row.model_name, row.model_version),
        port=row.port,
        wanted=row.wanted,
        state=ServerState(row.state),
        pid=row.pid,
        process_start=row.process_start,
        failures=row.failures,
        reason=row.reason,
        due_at=row.due_at,
        updated_at=row.updated_at,
    )


async def lock_servers(session: AsyncSession) -> None:
    """Lets nobody else add a server until the transaction ends."""
    await session.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtext("registry.model-servers"))))


async def list_servers(session: AsyncSession) -> list[ModelServer]:
    rows = await session.execute(sa.select(model_servers).order_by(_columns.served_name))
    return [_server(row) for row in rows]


async def find_server(session: AsyncSession, served_name: str, *, lock: bool = False) -> ModelServer | None:
    query = sa.select(model_servers).where(_columns.served_name == served_name)
    row = (await session.execute(query.with_for_update() if lock else query)).one_or_none()
    return None if row is None else _server(row)


async def save_server(session: AsyncSession, server: ModelServer) -> None:
    values = {
        "served_name": server.served_name,
        "model_name": server.variant.model_name,
        "model_version": server.variant.version,
        "port": server.port,
        "wanted": server.wanted,
        "state": server.state,
        "pid": server.pid,
        "process_start": server.process_start,
        "failures": server.failures,
        "reason": server.reason,
        "due_at": server.due_at,
        "updated_at": server.updated_at,
    }
    statement = insert(model_servers).values(values)
    await session.execute(statement.on_conflict_do_update(index_elements=["served_name"], set_=values))


async def forget_server(session: AsyncSession, served_name: str) -> None:
    await session.execute(sa.delete(model_servers).where(_columns.served_name == served_name))


async def urls_by_variant(session: AsyncSession) -> dict[VariantId, str]:
    """Addresses of the whole models that are served by a vLLM of their own."""
    return {server.variant: server.url for server in await list_servers(session) if server.wanted}

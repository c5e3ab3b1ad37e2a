"""One replica at a time works."""

import asyncio

import pytest
import sqlalchemy as sa

from loopwright.database import Database
from loopwright.testing.waiting import eventually
from registry_svc.store import leadership
from registry_svc.store.tables import messaging, metadata

pytestmark = pytest.mark.integration


async def test_one_leads_and_the_next_takes_over_when_its_lock_is_gone(migrated_database, monkeypatch):
    monkeypatch.setattr(leadership, "_POLL_S", 0.05)
    database = Database(await migrated_database(("services/registry-svc",)), metadata, messaging)
    leading: list[int] = []

    async def body(number: int) -> None:
        leading.append(number)
        try:
            await asyncio.Event().wait()
        finally:
            leading.remove(number)

    async def replica(number: int) -> None:
        await leadership.lead(database, name="test", body=lambda: body(number))

    async def one_leads() -> bool:
        return len(leading) == 1

    replicas = [asyncio.create_task(replica(number)) for number in range(2)]
    await eventually(one_leads)
    first = leading[0]
    replicas[first].cancel()
    await asyncio.wait([replicas[first]])

    async def other_leads() -> bool:
        return leading == [1 - first]

    await eventually(other_leads)
    async with database.engine.begin() as connection:
        await connection.execute(
            sa.text(
                "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' "
                "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
            )
        )

    async def left() -> bool:
        return leading == []

    await eventually(left, every_s=0.001)
    await eventually(other_leads)
    replicas[1 - first].cancel()
    await asyncio.wait(replicas)
    await database.close()


async def test_a_failure_of_the_work_is_not_hidden(migrated_database, monkeypatch):
    monkeypatch.setattr(leadership, "_POLL_S", 0.05)
    database = Database(await migrated_database(("services/registry-svc",)), metadata, messaging)

    async def body() -> None:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        await leadership.lead(database, name="test", body=body)
    await database.close()

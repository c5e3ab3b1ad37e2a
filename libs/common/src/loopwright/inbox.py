"""Which events a consumer group has handled: a redelivered event changes nothing."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession


async def mark_seen(session: AsyncSession, inbox: sa.Table, *, group: str, event_id: str) -> bool:
    """Marks an event as handled in the caller's transaction.

    Returns:
        True the first time; False if this group handled it before, in which case the caller does nothing. A
        concurrent handling of the same event makes this wait for the other transaction's end.
    """
    statement = (
        insert(inbox)
        .values(consumer_group=group, event_id=event_id)
        .on_conflict_do_nothing()
        .returning(inbox.c.event_id)
    )
    return (await session.execute(statement)).scalar_one_or_none() is not None

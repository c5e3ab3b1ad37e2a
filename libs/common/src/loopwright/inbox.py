"""Which events a consumer group has handled: a redelivered event changes nothing."""

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, insert
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


async def mark_all_seen(
    session: AsyncSession, inbox: sa.Table, *, group: str, event_ids: Sequence[str]
) -> frozenset[str]:
    """As `mark_seen` for many events; in one order, so that two batches with the same events cannot block each other.

    Returns:
        Ids of those that this group had not handled before.
    """
    ids = sa.func.unnest(sa.literal(sorted(event_ids), ARRAY(sa.Text)))
    statement = (
        insert(inbox)
        .from_select(["consumer_group", "event_id"], sa.select(sa.literal(group), ids))
        .on_conflict_do_nothing()
        .returning(inbox.c.event_id)
    )
    return frozenset((await session.execute(statement)).scalars())

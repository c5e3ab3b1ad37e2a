"""Facts that committed with the rows that they speak of, waiting for the relay."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from loopwright.contracts.envelope import Headers

if TYPE_CHECKING:
    import sqlalchemy as sa
    from sqlalchemy.ext.asyncio import AsyncSession


class OutboxRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A Kafka record to be: bytes and headers, ready to send."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers


async def insert_records(session: "AsyncSession", outbox: "sa.Table", records: Sequence[OutboxRecord]) -> None:
    """Writes records in order, inside the caller's transaction."""
    await session.execute(
        outbox.insert(),
        [
            {
                "topic": record.topic,
                "key": record.key,
                "value": record.value,
                "headers": [list(h) for h in record.headers],
            }
            for record in records
        ],
    )

"""What upstream apps sent, kept once however often it was sent."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa
from pydantic import JsonValue
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from feedback_svc.store.tables import upstream_records


class RecordOrigin(StrEnum):
    """By which topic a record came."""

    LOG = "log"
    FEEDBACK = "feedback"


@dataclass(frozen=True, kw_only=True)
class UpstreamRecord:
    """One record, or one batch of log records.

    Attributes:
        record_id: Its id in the source; the hash of its content where the source gives none.
        records: How many records it holds.
        published_at: When the source published it.
    """

    origin: RecordOrigin
    kind: str
    record_id: str
    records: int
    content: JsonValue
    published_at: datetime


async def keep_record(session: AsyncSession, record: UpstreamRecord, *, received_at: datetime) -> None:
    """Keeps a record; of several with one id the one published last, and how many were delivered."""
    statement = insert(upstream_records).values(
        origin=record.origin, kind=record.kind, record_id=record.record_id, records=record.records,
        content=record.content, deliveries=1, published_at=record.published_at, received_at=received_at,
    )  # fmt: skip
    newer = statement.excluded.published_at > upstream_records.c.published_at
    latest = {
        name: sa.case((newer, statement.excluded[name]), else_=upstream_records.c[name])
        for name in ("records", "content", "published_at")
    }
    await session.execute(
        statement.on_conflict_do_update(
            index_elements=list(upstream_records.primary_key.columns),
            set_={**latest, "deliveries": upstream_records.c.deliveries + 1},
        )
    )

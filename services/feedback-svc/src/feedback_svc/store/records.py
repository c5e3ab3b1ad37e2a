"""What upstream apps sent, kept once however often it was sent."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa
from pydantic import JsonValue
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from feedback_svc.domain.subjects import without
from feedback_svc.store.tables import upstream_records
from loopwright.errors import InvalidPayload
from loopwright.sealed_columns import ColumnOpener, ColumnSealer, standing_sealer


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
        subjects: Persons and inferences that it names.
        erased: Whether any of them must not be kept; the content says nothing of those.
    """

    origin: RecordOrigin
    kind: str
    record_id: str
    records: int
    content: JsonValue
    published_at: datetime
    subjects: frozenset[str] = frozenset()
    erased: bool = False


_ALL_SUBJECTS: sa.ColumnElement[list[str]] = sa.literal_column(
    "ARRAY(SELECT DISTINCT unnest(upstream_records.subjects || excluded.subjects))"
)


async def keep_record(session: AsyncSession, record: UpstreamRecord, *, received_at: datetime) -> None:
    """Keeps a record; of several with one id the one published last, and how many were delivered.

    Whom any version names, the record is of. Once erased it stays so, whatever another version says.

    Raises:
        InvalidPayload: it holds what no JSON can say.
    """
    columns = upstream_records.c
    sealer = await standing_sealer(session, upstream_records.name)
    statement = insert(upstream_records).values(
        origin=record.origin, kind=record.kind, record_id=record.record_id, records=record.records,
        content=_sealed(record.content, sealer), deliveries=1, published_at=record.published_at,
        received_at=received_at, subjects=sorted(record.subjects), erased_at=received_at if record.erased else None,
    )  # fmt: skip
    newer = statement.excluded.published_at > columns.published_at
    wins = (newer | statement.excluded.erased_at.is_not(None)) & columns.erased_at.is_(None)
    latest = {
        name: sa.case((wins, statement.excluded[name]), else_=columns[name])
        for name in ("records", "content", "published_at", "erased_at")
    }
    await session.execute(
        statement.on_conflict_do_update(
            index_elements=list(upstream_records.primary_key.columns),
            set_={**latest, "deliveries": columns.deliveries + 1, "subjects": _ALL_SUBJECTS},
        )
    )


async def erase_records(session: AsyncSession, subjects: Collection[str], *, now: datetime) -> int:
    """Forgets what records say that name one of these ids; of a batch of logs, only those that do.

    Returns:
        How many rows changed.
    """
    columns, key = upstream_records.c, upstream_records.primary_key.columns
    places = sa.select(*key).where(columns.subjects.overlap(sorted(subjects)))
    found = (await session.execute(places)).all()
    if not found:
        return 0
    sealer = await standing_sealer(session, upstream_records.name)
    for place in found:  # one at a time: a batch holds up to ten thousand records
        same = [column == value for column, value in zip(key, place, strict=True)]
        row = (await session.execute(sa.select(columns.content, columns.subjects).where(*same))).one()
        batch = RecordOrigin(place.origin) is RecordOrigin.LOG
        [content] = await open_records(session, [row.content])
        values = {
            "content": _sealed(without(content, subjects), sealer) if batch else None,
            "subjects": sorted(set(row.subjects) - set(subjects)) if batch else [],
            "erased_at": now,
        }
        await session.execute(sa.update(upstream_records).where(*same).values(values))
    return len(found)


async def open_records(session: AsyncSession, values: Sequence[bytes | None]) -> list[JsonValue]:
    """What records say, out of values of the column, in order; None of those that were erased."""
    found = await ColumnOpener(session, upstream_records.name).open_known(values)
    return [None if content is None else json.loads(content) for content in found]


def _sealed(content: JsonValue, sealer: ColumnSealer) -> bytes | None:
    if content is None:
        return None
    try:  # by the standard library: others refuse integers of more than 64 bits, which apps may send
        said = json.dumps(content, allow_nan=False)
    except ValueError as error:
        raise InvalidPayload("record.not-json", "a record holds a number that JSON cannot write") from error
    return sealer.seal(said.encode())

"""What became of upstream records when they were checked: which source reads them, what they are about, whether they fit.

One transaction at a time checks, so that positions rise in the order of commits: who has read up to one misses nothing.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa
from pydantic import JsonValue
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.ext.asyncio import AsyncSession

from feedback_svc.store.records import open_records
from feedback_svc.store.tables import source_records, upstream_records

_LOCK = 0x6665_6564_7363  # any number that no other advisory lock of this database uses
_MOST_IN_GROUP = 50  # newest records of one thing that are read together
_VERSION = sa.func.coalesce(upstream_records.c.erased_at, upstream_records.c.published_at)


class RecordState(StrEnum):
    """What a check found."""

    FITS = "fits"
    REFUSED = "refused"
    UNKNOWN_KIND = "unknown-kind"
    ERASED = "erased"


@dataclass(frozen=True, kw_only=True)
class KeptRecord:
    """An upstream record as it was kept.

    Attributes:
        version: Moment that names this version of it.
    """

    origin: str
    kind: str
    record_id: str
    content: JsonValue
    subjects: frozenset[str]
    published_at: datetime
    version: datetime
    erased: bool


@dataclass(frozen=True, kw_only=True)
class Inspected:
    """What a check found of one record.

    Attributes:
        source: Who reads it; None if nobody does.
        group_key: What it is about.
        claim: Rater, and hash of what the rater says of it.
    """

    record: KeptRecord
    source: str | None
    group_key: str
    state: RecordState
    reason: str | None = None
    claim: tuple[str, str] | None = None


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """A checked record that was not collected yet."""

    origin: str
    kind: str
    record_id: str
    group_key: str
    state: RecordState
    position: int


async def lock_inspection(session: AsyncSession) -> bool:
    """Whether nobody else inspects now; then nobody else does until the end of the transaction."""
    return bool((await session.execute(sa.select(sa.func.pg_try_advisory_xact_lock(_LOCK)))).scalar_one())


async def list_uninspected(session: AsyncSession, *, at_most: int) -> list[KeptRecord]:
    """Records, or newer versions of them, that were not checked yet, oldest first; what is being changed right now comes later."""
    columns = upstream_records.c
    query = (
        sa.select(upstream_records, _VERSION.label("version"))
        .where(sa.text("inspected_as IS DISTINCT FROM coalesce(erased_at, published_at)"))
        .order_by(columns.received_at)
        .limit(at_most)
        .with_for_update(of=upstream_records, skip_locked=True)
    )
    rows = (await session.execute(query)).all()
    contents = await open_records(session, [row.content for row in rows])
    return [_kept(row, content) for row, content in zip(rows, contents, strict=True)]


async def save_inspected(session: AsyncSession, inspected: Sequence[Inspected], *, now: datetime) -> None:
    """Keeps what a check found, under new positions."""
    last = (await session.execute(sa.select(sa.func.coalesce(sa.func.max(source_records.c.position), 0)))).scalar_one()
    rows = [
        {
            "origin": one.record.origin, "kind": one.record.kind, "record_id": one.record.record_id,
            "source": one.source, "group_key": one.group_key, "state": one.state, "reason": one.reason,
            "rater": one.claim[0] if one.claim else None, "claim": one.claim[1] if one.claim else None,
            "position": position, "published_at": one.record.published_at, "inspected_at": now,
        }
        for position, one in enumerate(inspected, last + 1)
    ]  # fmt: skip
    statement = insert(source_records).values(rows)
    key = {column.name for column in source_records.primary_key.columns}
    anew = {name: statement.excluded[name] for name in rows[0] if name not in key}
    await session.execute(
        statement.on_conflict_do_update(index_elements=list(source_records.primary_key.columns), set_=anew)
    )
    columns = upstream_records.c
    for one in inspected:
        same = (
            columns.origin == one.record.origin,
            columns.kind == one.record.kind,
            columns.record_id == one.record.record_id,
        )
        await session.execute(sa.update(upstream_records).where(*same).values(inspected_as=one.record.version))


async def list_arrivals(session: AsyncSession, source: str, *, after: int, at_most: int) -> list[Arrival]:
    """Records of a source that were checked after a position, in that order."""
    columns = source_records.c
    query = (
        sa.select(source_records)
        .where(columns.source == source, columns.position > after)
        .order_by(columns.position)
        .limit(at_most)
    )
    return [_arrival(row) for row in await session.execute(query)]


async def list_newest(session: AsyncSession, source: str, *, at_most: int) -> list[Arrival]:
    """Records of a source that were checked last, newest first."""
    columns = source_records.c
    query = sa.select(source_records).where(columns.source == source).order_by(columns.position.desc()).limit(at_most)
    return [_arrival(row) for row in await session.execute(query)]


async def last_position(session: AsyncSession, source: str) -> int:
    query = sa.select(sa.func.max(source_records.c.position)).where(source_records.c.source == source)
    return (await session.execute(query)).scalar_one() or 0


async def read_groups(session: AsyncSession, source: str, keys: Collection[str]) -> dict[str, list[KeptRecord]]:
    """Everything that fits and is about these things, of each the newest records."""
    columns = source_records.c
    turn = sa.func.row_number().over(
        partition_by=columns.group_key, order_by=(columns.published_at.desc(), columns.record_id)
    )
    ranked = (
        sa.select(columns.origin, columns.kind, columns.record_id, columns.group_key, turn.label("turn"))
        .where(
            columns.source == source, columns.state == RecordState.FITS,
            columns.group_key == sa.any_(sa.literal(sorted(keys), ARRAY(sa.Text))),
        )
        .subquery()
    )  # fmt: skip
    kept = upstream_records.c
    query = sa.select(upstream_records, _VERSION.label("version"), ranked.c.group_key).join(
        ranked,
        (kept.origin == ranked.c.origin)
        & (kept.kind == ranked.c.kind)
        & (kept.record_id == ranked.c.record_id)
        & (ranked.c.turn <= _MOST_IN_GROUP),
    )
    groups: dict[str, list[KeptRecord]] = {key: [] for key in keys}
    rows = (await session.execute(query)).all()
    contents = await open_records(session, [row.content for row in rows])
    for row, content in zip(rows, contents, strict=True):
        groups[row.group_key].append(_kept(row, content))
    return groups


async def agreement_of(session: AsyncSession, source: str, raters: Collection[str]) -> dict[str, tuple[int, int]]:
    """Of each rater: how often another rater said the same of the same thing, and how often another said anything."""
    mine, other = source_records.alias("mine"), source_records.alias("other")
    query = (
        sa.select(mine.c.rater, sa.func.count().filter(mine.c.claim == other.c.claim), sa.func.count())
        .join(
            other,
            (other.c.source == mine.c.source)
            & (other.c.group_key == mine.c.group_key)
            & (other.c.rater != mine.c.rater)
            & (other.c.state == RecordState.FITS),
        )
        .where(
            mine.c.source == source,
            mine.c.rater == sa.any_(sa.literal(sorted(raters), ARRAY(sa.Text))),
            mine.c.state == RecordState.FITS,
        )
        .group_by(mine.c.rater)
    )
    return {rater: (same, heard) for rater, same, heard in await session.execute(query)}


def _kept(row: sa.Row[*tuple[object, ...]], content: JsonValue) -> KeptRecord:
    return KeptRecord(
        origin=row.origin,
        kind=row.kind,
        record_id=row.record_id,
        content=content,
        subjects=frozenset(row.subjects),
        published_at=row.published_at,
        version=row.version,
        erased=row.erased_at is not None,
    )


def _arrival(row: sa.Row[*tuple[object, ...]]) -> Arrival:
    return Arrival(
        origin=row.origin, kind=row.kind, record_id=row.record_id, group_key=row.group_key,
        state=RecordState(row.state), position=row.position,
    )  # fmt: skip

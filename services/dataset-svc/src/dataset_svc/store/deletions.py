"""The queue of objects that must go from storage; a row outlives its object, to say when that happened and why."""

from collections.abc import Collection, Iterable
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from dataset_svc.domain.deletions import Doomed, ObjectKind, patience
from dataset_svc.domain.requests import RequestState
from dataset_svc.store.cleanings import any_waiting
from dataset_svc.store.tables import DeletionRow, RequestRow, UploadPieceRow, VersionRow


async def queue(session: AsyncSession, doomed: Iterable[Doomed], *, reason: str) -> None:
    """Queues objects; asking for one again is asking for it anew."""
    anew = {"reason": reason, "attempts": 0, "due_at": sa.func.now(), "begun_at": None, "deleted_at": None}
    rows = [
        {"uri": uri, "kind": kind, "queued_at": sa.func.now(), **anew}
        for uri, kind in {one.uri: one.kind for one in doomed}.items()
    ]
    if rows:
        statement = insert(DeletionRow).values(rows)
        await session.execute(statement.on_conflict_do_update(index_elements=[DeletionRow.uri], set_=anew))


async def find_due(session: AsyncSession) -> DeletionRow | None:
    """Locks the object that has waited longest; passes over those that another process holds."""
    statement = (
        sa.select(DeletionRow)
        .where(DeletionRow.deleted_at.is_(None), DeletionRow.due_at <= sa.func.now())
        .order_by(DeletionRow.due_at, DeletionRow.uri)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    return (await session.execute(statement)).scalar_one_or_none()


async def begin(session: AsyncSession, row: DeletionRow) -> None:
    """Counts a try. Should the process die, another one comes when patience ends."""
    row.begun_at, row.due_at = await moment(session), await moment(session) + patience(row.attempts)
    row.attempts += 1


async def postpone(session: AsyncSession, row: DeletionRow) -> None:
    row.due_at = await moment(session) + patience(row.attempts)
    row.attempts += 1


async def drop(session: AsyncSession, row: DeletionRow) -> None:
    """Spares an object."""
    await session.delete(row)


async def finish(session: AsyncSession, uri: str) -> None:
    """Notes that an object is gone; of pieces, which nobody asks for, nothing is kept."""
    await session.execute(sa.delete(DeletionRow).where(DeletionRow.uri == uri, DeletionRow.kind == ObjectKind.PIECE))
    await session.execute(
        sa.update(DeletionRow)
        .where(DeletionRow.uri == uri, DeletionRow.begun_at.is_not(None))
        .values(deleted_at=sa.func.now())
    )


async def is_in_use(session: AsyncSession, row: DeletionRow) -> bool:
    """Whether a version that is there for readers, or a piece of an upload that goes on, refers to the object.

    Sources are read by builds alone, and only rejects of them are shown: a readable version needs its source no more.
    """
    if row.kind == ObjectKind.PIECE:
        statement = sa.exists().where(_uri_in(UploadPieceRow.artifact) == row.uri)
    elif row.kind == ObjectKind.REJECTS:
        made_erased = sa.exists().where(
            VersionRow.request_id == RequestRow.request_id, VersionRow.erased_at.is_not(None)
        )
        statement = sa.exists().where(_uri_in(RequestRow.rejects) == row.uri, ~made_erased)
    else:
        parts = (VersionRow.train, VersionRow.validation, VersionRow.held_out)
        files = [*(_uri_in(part, "artifact") for part in parts), _uri_in(VersionRow.origins)]
        statement = sa.exists().where(VersionRow.erased_at.is_(None), sa.or_(*(file == row.uri for file in files)))
    return bool((await session.execute(sa.select(statement))).scalar_one())


async def must_wait(session: AsyncSession, row: DeletionRow) -> bool:
    """Whether a request that is not built yet will read the object, or a history that is not cleaned yet names it."""
    if row.kind == ObjectKind.PACK:
        return await any_waiting(session)
    pending = sa.exists().where(RequestRow.state == RequestState.PENDING, _uri_in(RequestRow.source) == row.uri)
    return bool((await session.execute(sa.select(pending))).scalar_one())


async def claim(session: AsyncSession, uris: Collection[str], *, stored_after: datetime) -> bool:
    """Keeps objects that were just stored again from being deleted.

    Args:
        stored_after: They were stored later than this moment of the database's clock.

    Returns:
        Whether all of them are safe; if not, one may have gone since, and must be stored once more.
    """
    named = DeletionRow.uri.in_(uris)
    gone_before = DeletionRow.deleted_at < stored_after
    await session.execute(sa.delete(DeletionRow).where(named, DeletionRow.begun_at.is_(None) | gone_before))
    left = sa.select(sa.exists().where(named))
    return not (await session.execute(left)).scalar_one()


def _uri_in(column: sa.ColumnElement[object] | InstrumentedAttribute[object], *path: str) -> sa.ColumnElement[str]:
    return sa.type_coerce(column, JSONB)[(*path, "uri")].astext


async def moment(session: AsyncSession) -> datetime:
    """When this transaction began, by the database's clock."""
    return (await session.execute(sa.select(sa.func.now()))).scalar_one()

"""Branches and tags, and versions found by any address."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from dataset_svc.domain.versions.version_refs import MAIN, AddressKind, RefKind, parse_address
from dataset_svc.store.tables import RefRow, VersionRow
from loopwright.errors import NotFound


async def get_version_at(session: AsyncSession, dataset_id: str, address: str) -> VersionRow:
    """A version of a dataset by id, number, branch, tag or `latest`.

    Raises:
        Invalid: that is no address.
        NotFound: nothing is there.
    """
    wanted = parse_address(address)
    statement = sa.select(VersionRow).where(VersionRow.dataset_id == dataset_id)
    if wanted.kind is AddressKind.ID:
        statement = statement.where(VersionRow.version_id == wanted.text)
    elif wanted.kind is AddressKind.NUMBER:
        statement = statement.where(VersionRow.number == wanted.number)
    elif wanted.kind is AddressKind.LATEST:
        statement = statement.order_by(VersionRow.number.desc()).limit(1)
    else:
        named = sa.select(RefRow.version_id).where(RefRow.dataset_id == dataset_id, RefRow.name == wanted.text)
        statement = statement.where(VersionRow.version_id.in_(named))
    row = (await session.execute(statement)).scalar_one_or_none()
    if row is None:
        raise NotFound("dataset.version-not-found", "the dataset has no such version", address=address)
    return row


async def get_for_change(session: AsyncSession, dataset_id: str, name: str) -> RefRow:
    """Locks a branch or tag.

    Raises:
        NotFound: there is none of that name.
    """
    row = await session.get(RefRow, (dataset_id, name), with_for_update=True)
    if row is None:
        raise NotFound("dataset.ref-not-found", "the dataset has no branch or tag of that name", name=name)
    return row


async def add(session: AsyncSession, row: RefRow) -> bool:
    """Adds a name.

    Returns:
        Whether it was free.
    """
    columns = ("dataset_id", "name", "kind", "version_id", "reason", "moved_by", "moved_at")
    values = {column: getattr(row, column) for column in columns}
    statement = insert(RefRow).values(values).on_conflict_do_nothing().returning(RefRow.name)
    return (await session.execute(statement)).scalar_one_or_none() is not None


async def move_main(session: AsyncSession, version: VersionRow, *, by: str, now: datetime) -> None:
    """Points the branch of new versions at the newest one."""
    statement = insert(RefRow).values(
        dataset_id=version.dataset_id,
        name=MAIN,
        kind=RefKind.BRANCH,
        version_id=version.version_id,
        reason="a new version",
        moved_by=by,
        moved_at=now,
    )
    changed = ("version_id", "reason", "moved_by", "moved_at")
    await session.execute(
        statement.on_conflict_do_update(
            index_elements=[RefRow.dataset_id, RefRow.name],
            set_={name: statement.excluded[name] for name in changed},
        )
    )


async def remove(session: AsyncSession, row: RefRow) -> None:
    await session.delete(row)

"""Which side of the split a dataset's groups (users, documents) are on, for every later version."""

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from dataset_svc.domain.samples import SplitName
from dataset_svc.store.copying import copy_rows
from dataset_svc.store.sides import NewSides
from dataset_svc.store.tables import GroupRow, SampleRow, VersionRow

_COLUMNS = ("dataset_id", "group_sha256", "split")


async def list_groups(session: AsyncSession, dataset_id: str) -> dict[str, SplitName]:
    """The part of each group, by SHA-256 of its name."""
    statement = sa.select(GroupRow.group_sha256, GroupRow.split).where(GroupRow.dataset_id == dataset_id)
    return {digest: SplitName(split) for digest, split in await session.execute(statement)}


def new_groups(session: AsyncSession, dataset_id: str) -> NewSides[None]:
    """Keeps the groups of one version by their digests."""

    async def add(fresh: Sequence[tuple[str, SplitName, None]]) -> None:
        rows = [(dataset_id, digest, split) for digest, split, _ in fresh]
        await copy_rows(session, GroupRow, _COLUMNS, [rows])

    return NewSides(session, dataset_id, table=GroupRow, digest=GroupRow.group_sha256, add=add)


async def forget_groups_of_unit(session: AsyncSession, unit_hash: str) -> None:
    """Deletes the groups in which nobody but this person has samples: the hash may be of the person's name."""
    held = (
        sa.select(VersionRow.dataset_id, SampleRow.group_sha256, SampleRow.unit_hash)
        .join(VersionRow, VersionRow.version_id == SampleRow.version_id)
        .where(SampleRow.group_sha256.is_not(None))
        .subquery()
    )
    same = (held.c.dataset_id == GroupRow.dataset_id) & (held.c.group_sha256 == GroupRow.group_sha256)
    by_unit = sa.exists().where(same, held.c.unit_hash == unit_hash)
    by_others = sa.exists().where(same, held.c.unit_hash.is_distinct_from(unit_hash))
    await session.execute(sa.delete(GroupRow).where(by_unit, ~by_others))

"""Which side of the split a dataset's groups (users, documents) are on, for every later version."""

from collections.abc import Iterable

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from dataset_svc.domain.packed_builds import BuiltRow
from dataset_svc.domain.samples import SplitName
from dataset_svc.store.copying import Staging
from dataset_svc.store.tables import GroupRow, SampleRow, VersionRow

_STAGED = {"digest": "text", "split": "text"}
_REMEMBER = """
INSERT INTO dataset.groups (dataset_id, group_sha256, split)
SELECT DISTINCT ON (digest) :dataset_id, digest, split FROM new_groups ORDER BY digest
ON CONFLICT (dataset_id, group_sha256) DO UPDATE SET split = excluded.split
"""


async def list_groups(session: AsyncSession, dataset_id: str) -> dict[str, SplitName]:
    """The part of each group, by SHA-256 of its name."""
    statement = sa.select(GroupRow.group_sha256, GroupRow.split).where(GroupRow.dataset_id == dataset_id)
    return {digest: SplitName(split) for digest, split in await session.execute(statement)}


class NewGroups:
    """Keeps the groups of one version; the newest word holds."""

    def __init__(self, session: AsyncSession, dataset_id: str) -> None:
        self._staging = Staging(session, "new_groups", _STAGED, sa.text(_REMEMBER).bindparams(dataset_id=dataset_id))

    async def add(self, split: SplitName, samples: Iterable[BuiltRow]) -> None:
        digests = {built.group_sha256 for built in samples} - {None}
        await self._staging.add([(digest, split) for digest in digests])

    async def keep(self) -> None:
        """Keeps all that was added."""
        await self._staging.merge()


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

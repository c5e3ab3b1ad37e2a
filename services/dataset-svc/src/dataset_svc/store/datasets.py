"""Datasets, their versions and the samples in them."""

from collections.abc import Iterable, Sequence

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from dataset_svc.domain.packed_builds import BuiltRow
from dataset_svc.domain.requests import KnownDataset
from dataset_svc.domain.samples import SplitName
from dataset_svc.domain.versions.lifecycle import Status
from dataset_svc.store.copying import copy_rows
from dataset_svc.store.tables import DatasetRow, GroupRow, QuestionRow, SampleRow, VersionRow
from loopwright.errors import NotFound


async def find_by_name(session: AsyncSession, name: str) -> DatasetRow | None:
    return (await session.execute(sa.select(DatasetRow).where(DatasetRow.name == name))).scalar_one_or_none()


async def lock_or_add(session: AsyncSession, row: DatasetRow) -> DatasetRow:
    """Locks the dataset of that name; adds it first if there is none."""
    columns = ("dataset_id", "name", "task_id", "description", "status", "created_by", "created_at")
    values = {column: getattr(row, column) for column in columns}
    await session.execute(insert(DatasetRow).values(values).on_conflict_do_nothing())
    statement = sa.select(DatasetRow).where(DatasetRow.name == row.name).with_for_update()
    return (await session.execute(statement)).scalar_one()


async def get_for_change(session: AsyncSession, dataset_id: str) -> DatasetRow:
    """Locks a dataset.

    Raises:
        NotFound: there is none with that id.
    """
    row = await session.get(DatasetRow, dataset_id, with_for_update=True)
    if row is None:
        raise NotFound("dataset.not-found", "there is no such dataset", dataset_id=dataset_id)
    return row


async def get_version(session: AsyncSession, version_id: str) -> VersionRow:
    """A version.

    Raises:
        NotFound: there is none with that id.
    """
    row = await session.get(VersionRow, version_id)
    if row is None:
        raise NotFound("dataset.version-not-found", "there is no such version", version_id=version_id)
    return row


async def get_version_for_change(session: AsyncSession, version_id: str) -> VersionRow:
    """Locks a version.

    Raises:
        NotFound: there is none with that id.
    """
    row = await session.get(VersionRow, version_id, with_for_update=True)
    if row is None:
        raise NotFound("dataset.version-not-found", "there is no such version", version_id=version_id)
    return row


async def list_versions_for_change(session: AsyncSession, dataset_id: str) -> Sequence[VersionRow]:
    """Locks all versions of a dataset, oldest first."""
    statement = sa.select(VersionRow).where(VersionRow.dataset_id == dataset_id).order_by(VersionRow.number)
    return (await session.execute(statement.with_for_update())).scalars().all()


async def find_latest_version(session: AsyncSession, dataset_id: str) -> VersionRow | None:
    statement = (
        sa.select(VersionRow).where(VersionRow.dataset_id == dataset_id).order_by(VersionRow.number.desc()).limit(1)
    )
    return (await session.execute(statement)).scalar_one_or_none()


_SAMPLE_COLUMNS = (
    "version_id", "sample_id", "split", "position", "content_sha256", "question_sha256", "group_sha256", "source",
    "inference_id", "rating_ids", "unit_hash", "weight_0_1",
)  # fmt: skip


async def add_samples(
    session: AsyncSession, version_id: str, split: SplitName, portions: Iterable[Sequence[BuiltRow]]
) -> None:
    """Adds the samples of one part, some at a time."""
    rows = ([_sample_row(version_id, split, built) for built in portion] for portion in portions)
    await copy_rows(session, SampleRow, _SAMPLE_COLUMNS, rows)


def _sample_row(version_id: str, split: SplitName, built: BuiltRow) -> tuple[object, ...]:
    return (
        version_id, built.sample_id, split, built.position, built.content_sha256, built.question_sha256,
        built.group_sha256, built.source, built.inference_id, built.rating_ids, built.unit_hash, built.weight_0_1,
    )  # fmt: skip


async def count_held_out(session: AsyncSession, version: VersionRow) -> int:
    """Samples of a version whose question or group is held out, by this version or by a later one."""
    question = sa.exists().where(
        QuestionRow.dataset_id == version.dataset_id,
        QuestionRow.question_sha256 == SampleRow.question_sha256,
        QuestionRow.split == SplitName.HELD_OUT,
    )
    group = sa.exists().where(
        GroupRow.dataset_id == version.dataset_id,
        GroupRow.group_sha256 == SampleRow.group_sha256,
        GroupRow.split == SplitName.HELD_OUT,
    )
    statement = sa.select(sa.func.count()).where(SampleRow.version_id == version.version_id, question | group)
    return (await session.execute(statement)).scalar_one()


async def deprecate_versions_of_unit(session: AsyncSession, unit_hash: str, *, reason: str) -> int:
    """Marks every active version that holds samples of a person.

    Returns:
        How many were marked.
    """
    holding = sa.select(SampleRow.version_id).where(SampleRow.unit_hash == unit_hash)
    statement = (
        sa.update(VersionRow)
        .where(VersionRow.version_id.in_(holding), VersionRow.status == Status.ACTIVE)
        .values(status=Status.DEPRECATED, status_reason=reason)
        .returning(VersionRow.version_id)
    )
    return len((await session.execute(statement)).all())


def as_known(row: DatasetRow) -> KnownDataset:
    return KnownDataset(task_id=row.task_id, status=Status(row.status))

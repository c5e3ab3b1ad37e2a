"""Two versions compared: counts, figures and a page of the samples that differ."""

import asyncio
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field

from dataset_svc.adapters.version_packs import OpenVersion, VersionPacks
from dataset_svc.domain.samples import SplitName, decode
from dataset_svc.domain.versions.row_hashes import KEY_BYTES
from dataset_svc.domain.versions.version_diff import Change, ChangeKind, Row, VersionDiff, figures_of
from dataset_svc.queries.datasets import VersionView, check_readable, read_version, splits_of
from dataset_svc.queries.samples import TurnView
from dataset_svc.store import refs
from loopwright.contracts.datasets import SampleSource
from loopwright.pages import Page, Window
from loopwright.unit_of_work import Work


class DiffModel(BaseModel):
    """A part of the answer."""

    model_config = ConfigDict(frozen=True, from_attributes=True)


class PartFiguresView(DiffModel):
    """Size of a part of a version."""

    samples: int
    size_bytes: int = Field(description="bytes of its lines")
    mean_bytes: float
    median_bytes: float
    p95_bytes: float = Field(description="nineteen lines in twenty are at most so long")


class FiguresChange(DiffModel):
    """A part before and after."""

    before: PartFiguresView
    after: PartFiguresView


class MoveView(DiffModel):
    """Samples that changed sides."""

    before: SplitName
    after: SplitName
    samples: int


class SideView(DiffModel):
    """A sample on one side of the comparison."""

    split: SplitName
    position: int = Field(description="line of the part's file, counted from 0")
    source: SampleSource
    weight_0_1: float
    input: str
    messages: tuple[TurnView, ...]


class ChangeView(DiffModel):
    """A sample that differs."""

    kind: ChangeKind
    sample_id: str
    before: SideView | None = Field(description="none if it was added")
    after: SideView | None = Field(description="none if it was removed")


class DiffView(DiffModel):
    """What changed from one version to another."""

    before: str = Field(description="version that is compared with")
    after: str = Field(description="version that is looked at")
    added: int
    removed: int
    changed: int = Field(description="same sample id, other content")
    moved: int = Field(description="same sample id, other part; may have changed as well")
    unchanged: int
    moves: tuple[MoveView, ...] = Field(description="moved samples by where from and where to")
    parts: dict[SplitName, FiguresChange] = Field(description="sizes by part")
    quality_score_before_0_1: float
    quality_score_after_0_1: float
    examples: Page[ChangeView] = Field(description="samples of the kind that was asked for, in order of the files")


async def read_pair(unit: Work, version_id: str, *, against: str) -> tuple[VersionView, VersionView]:
    """A version, and the one it is compared with, which any address in the same dataset names.

    Raises:
        NotFound: one of them is not there.
        Invalid: the address is none.
    """
    after = await read_version(unit, version_id)
    before = await refs.get_version_at(unit.session, after.dataset_id, against)
    return VersionView.model_validate(before), after


async def open_version(version: VersionView, packs: VersionPacks) -> OpenVersion:
    """A version's rows, from the history if it is there, else from its files.

    Raises:
        Expired: they were erased.
    """
    check_readable(version)
    if version.manifest is not None:
        return await packs.open(version.manifest)
    # a file has no key of its own, and nobody else sees these hashes
    return await packs.open_files(splits_of(version), key=bytes(KEY_BYTES))


async def open_pair(one: VersionView, other: VersionView, packs: VersionPacks) -> tuple[OpenVersion, OpenVersion]:
    """Two versions whose hashes can be compared."""
    first, second = await open_version(one, packs), await open_version(other, packs)
    if first.snapshot.key == second.snapshot.key:
        return first, second
    if one.manifest is None:
        return await packs.open_files(splits_of(one), key=second.snapshot.key), second
    return first, await packs.open_files(splits_of(other), key=first.snapshot.key)


async def compare(
    before: VersionView, after: VersionView, packs: VersionPacks, *, kind: ChangeKind, window: Window
) -> DiffView:
    """The comparison; call it after the transaction, for it waits on storage."""
    old, new = await open_pair(before, after, packs)
    diff = await asyncio.to_thread(VersionDiff, old.snapshot, new.snapshot)
    figures_before, figures_after = [await asyncio.to_thread(figures_of, one.snapshot) for one in (old, new)]
    changes = diff.changes(kind, limit=window.limit, offset=window.offset)
    items = await _with_texts(changes, kind, old, new)
    parts = {
        name: FiguresChange(
            before=PartFiguresView.model_validate(figures_before[name]),
            after=PartFiguresView.model_validate(figures_after[name]),
        )
        for name in SplitName
    }
    return DiffView(
        before=before.version_id,
        after=after.version_id,
        added=diff.count(ChangeKind.ADDED),
        removed=diff.count(ChangeKind.REMOVED),
        changed=diff.count(ChangeKind.CHANGED),
        moved=diff.count(ChangeKind.MOVED),
        unchanged=diff.unchanged,
        moves=tuple(MoveView.model_validate(move) for move in diff.moves()),
        parts=parts,
        quality_score_before_0_1=before.quality_score_0_1,
        quality_score_after_0_1=after.quality_score_0_1,
        examples=Page[ChangeView](items=items, total=diff.count(kind), limit=window.limit, offset=window.offset),
    )


async def _with_texts(
    changes: Sequence[Change], kind: ChangeKind, old: OpenVersion, new: OpenVersion
) -> tuple[ChangeView, ...]:
    before = await _sides([change.before for change in changes], old)
    after = await _sides([change.after for change in changes], new)
    views: list[ChangeView] = []
    for was, now in zip(before, after, strict=True):
        known = now or was
        assert known is not None, "a change has at least one side"
        views.append(ChangeView(kind=kind, sample_id=known[0], before=was and was[1], after=now and now[1]))
    return tuple(views)


async def _sides(rows: Sequence[Row | None], version: OpenVersion) -> list[tuple[str, SideView] | None]:
    texts = iter(await version.texts([row.place for row in rows if row is not None]))
    return [None if row is None else _side(row, next(texts)) for row in rows]


def _side(row: Row, line: bytes) -> tuple[str, SideView]:
    sample = decode(line)
    view = SideView(
        split=row.split,
        position=row.position,
        source=sample.source,
        weight_0_1=sample.weight_0_1,
        input=sample.input,
        messages=tuple(TurnView(role=turn.role, content=turn.content) for turn in sample.messages),
    )
    return sample.sample_id, view

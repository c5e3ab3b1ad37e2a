"""A build becomes a version: rows, lineage and the announcement in one transaction, or nothing."""

import asyncio
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from dataset_svc.domain.building import Memory
from dataset_svc.domain.deletions import Doomed, ObjectKind
from dataset_svc.domain.kept_lines import Lines
from dataset_svc.domain.likeness.case_files import CaseFile
from dataset_svc.domain.likeness.held_out import versions_compared_with
from dataset_svc.domain.packed_builds import PackedBuild
from dataset_svc.domain.requests import Origin, Purpose, RequestState, VersionRequest, objections_to
from dataset_svc.domain.samples import SplitName
from dataset_svc.domain.splits import EVERY_PART
from dataset_svc.domain.versions.lifecycle import Status
from dataset_svc.domain.versions.recipes import VersionRecipe, content_sha256_of, version_id_of
from dataset_svc.handlers.requests import reject_request
from dataset_svc.store import cases, cleanings, datasets, deletions, erasures, groups, questions, refs, requests
from dataset_svc.store.tables import DatasetRow, RequestRow, VersionRow
from loopwright.contracts.base import Artifact
from loopwright.contracts.datasets import DatasetValidated, SampleSource, Split
from loopwright.unit_of_work import Work

_BINDING_IN_NEW_SPLITS = frozenset({SplitName.HELD_OUT})  # what trained or validated may change sides


class Publication(StrEnum):
    """What became of an attempt to publish a build."""

    PUBLISHED = "published"
    REJECTED = "rejected"
    CHECKED = "checked"  # a dry run: there is a report, and nothing to publish
    STALE = "stale"  # another version, of this dataset or its task's, or an erasure came between; build again
    NOT_DUE = "not_due"  # somebody else finished the request


@dataclass(frozen=True, kw_only=True)
class Materials:
    """What a build starts from besides its source.

    Attributes:
        parent_version_id: Version that the new one will follow; None if it is the first.
        parent_manifest: Its manifest in the history, if it has one.
        loaded_at: When, by the database's clock; files of the build are stored later.
        case_files: Where the cases of other datasets lie, which are to be read into the memory before the build.
        objections: Why the build need not be tried.
    """

    memory: Memory
    parent_version_id: str | None
    objections: tuple[str, ...]
    loaded_at: datetime
    parent_manifest: Artifact | None = None
    case_files: tuple[CaseFile, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Stored:
    """A build whose files are in storage.

    Attributes:
        rows: Where the rows of the build wait.
        recipe_sha256: Hash of the recipe that was followed; the version's id follows from it.
        manifest: The version in the history of rows.
        origins: What was done to each sample.
        statistics: Figures of the samples, JSON.
        page: Report and statistics for people, HTML.
    """

    built: PackedBuild
    rows: Lines
    splits: dict[SplitName, Split]
    report: Artifact
    recipe_sha256: str
    manifest: Artifact
    origins: Artifact
    statistics: Artifact
    page: Artifact


async def load_materials(unit: Work, request: VersionRequest, *, max_source_bytes: int) -> Materials:
    session = unit.session
    dataset = await datasets.find_by_name(session, request.dataset_name)
    known = None if dataset is None else datasets.as_known(dataset)
    latest = None if dataset is None else await datasets.find_latest_version(session, dataset.dataset_id)
    return Materials(
        memory=Memory(
            erased_units=await erasures.list_units(session),
            questions=() if dataset is None else await questions.list_questions(session, dataset.dataset_id),
            groups={} if dataset is None else await groups.list_groups(session, dataset.dataset_id),
            binding=_BINDING_IN_NEW_SPLITS if request.purpose is Purpose.SPLIT else EVERY_PART,
        ),
        parent_version_id=None if latest is None else latest.version_id,
        loaded_at=await deletions.moment(session),
        parent_manifest=None if latest is None else latest.manifest,
        case_files=await cases.list_case_files(session, request.task_id, beside=request.dataset_name),
        objections=objections_to(request, known, max_source_bytes=max_source_bytes),
    )


def recipe_of(
    request: VersionRequest, materials: Materials, *, max_line_bytes: int, options: Mapping[str, str]
) -> VersionRecipe:
    """The recipe that a build of the request on these materials follows.

    Args:
        options: All else that changes its bytes.
    """
    columns = {f"column.{part}": name for part, name in (request.mapping or {}).items()}
    binding = {"binding": " ".join(sorted(materials.memory.binding))}
    return VersionRecipe(
        source_sha256s=(request.source.sha256,),
        task_id=request.task_id,
        dataset_name=request.dataset_name,
        policy=request.policy,
        parent_version_id=materials.parent_version_id,
        read_as=SampleSource.UPLOAD if request.origin is Origin.UPLOAD else None,
        max_line_bytes=max_line_bytes,
        erased_units=materials.memory.erased_units,
        case_version_ids=versions_compared_with(materials.memory.cases),
        options={"source_name": request.source_name, **binding, **columns, **options},
    )


async def publish_version(
    unit: Work, request: VersionRequest, stored: Stored, materials: Materials, *, now: datetime
) -> Publication:
    """Makes a build the next version of its dataset, if what it was built on still holds."""
    session = unit.session
    row = await requests.find_pending(session, request.request_id)
    if row is None:
        return Publication.NOT_DUE
    dataset = await datasets.lock_or_add(session, _new_dataset(request, now))
    objections = objections_to(request, datasets.as_known(dataset), max_source_bytes=request.source.size_bytes)
    if objections:
        await reject_request(unit, request.request_id, reasons=objections, now=now, report=stored.report)
        return Publication.REJECTED
    await erasures.lock(session)
    parent = await datasets.find_latest_version(session, dataset.dataset_id)
    if _parent_changed(parent, materials) or await _cases_changed(unit, request, materials):
        return Publication.STALE
    if await _was_erased(unit, stored, dataset) or not await _files_are_safe(unit, stored, materials):
        return Publication.STALE
    version = _version_row(dataset, parent, request, stored, now)
    session.add(version)
    await session.flush()
    await refs.move_main(session, version, by=request.requested_by, now=now)
    for name, part in stored.built.parts.items():
        await datasets.add_samples(session, version.version_id, name, part.unpacked(stored.rows))
    await _keep_sides(unit, dataset, stored)
    _end_validated(row, stored, now)
    unit.announce(_validated(dataset, version))
    return Publication.PUBLISHED


async def _keep_sides(unit: Work, dataset: DatasetRow, stored: Stored) -> None:
    """No later version takes a question or a group to another side of the split."""
    asked = questions.new_questions(unit.session, dataset.dataset_id)
    grouped = groups.new_groups(unit.session, dataset.dataset_id)
    for name, part in stored.built.parts.items():
        for rows in part.unpacked(stored.rows):
            await asked.add(name, {row.question_sha256: row.question for row in rows})
            await grouped.add(name, {row.group_sha256: None for row in rows if row.group_sha256 is not None})
            await asyncio.sleep(0)  # others have their turn
    await asked.keep()
    await grouped.keep()


def _parent_changed(parent: VersionRow | None, materials: Materials) -> bool:
    if parent is None:
        return materials.parent_version_id is not None
    # the same parent has another manifest if a person's rows went from its history
    return (parent.version_id, parent.manifest) != (materials.parent_version_id, materials.parent_manifest)


async def _was_erased(unit: Work, stored: Stored, dataset: DatasetRow) -> bool:
    """Whether somebody's data was erased that the build holds; its files then go, for nobody else knows of them."""
    erased = await erasures.list_units(unit.session)
    rows = {
        name: [line for unit in erased & part.units.keys() for line in part.units[unit]]
        for name, part in stored.built.parts.items()
    }
    if not any(rows.values()):
        return False
    cleanings.add(unit.session, dataset.dataset_id, rows, manifest=stored.manifest)
    reason = "of a build that was given up, for it holds samples of a person whose data was erased"
    await deletions.queue(unit.session, _files_of(stored), reason=reason)
    return True


async def _files_are_safe(unit: Work, stored: Stored, materials: Materials) -> bool:
    uris = [file.uri for file in _files_of(stored)]
    return await deletions.claim(unit.session, uris, stored_after=materials.loaded_at)


def _files_of(stored: Stored) -> list[Doomed]:
    parts = [Doomed(uri=split.artifact.uri, kind=ObjectKind.PART) for split in stored.splits.values()]
    return [*parts, Doomed(uri=stored.origins.uri, kind=ObjectKind.ORIGINS)]


async def _cases_changed(unit: Work, request: VersionRequest, materials: Materials) -> bool:
    """Whether another dataset of the task holds out other cases by now than those that were compared with."""
    files = await cases.list_case_files(unit.session, request.task_id, beside=request.dataset_name)
    return files != materials.case_files


def _new_dataset(request: VersionRequest, now: datetime) -> DatasetRow:
    return DatasetRow(
        dataset_id=f"ds-{uuid.uuid4().hex}",
        name=request.dataset_name,
        task_id=request.task_id,
        description=request.description,
        status=Status.ACTIVE,
        created_by=request.requested_by,
        created_at=now,
    )


def _version_row(
    dataset: DatasetRow, parent: VersionRow | None, request: VersionRequest, stored: Stored, now: datetime
) -> VersionRow:
    number = parent.number + 1 if parent else 1
    content = content_sha256_of(stored.splits)
    return VersionRow(
        version_id=version_id_of(stored.recipe_sha256, content),
        dataset_id=dataset.dataset_id,
        number=number,
        parent_version_id=parent.version_id if parent else None,
        request_id=request.request_id,
        content_sha256=content,
        recipe_sha256=stored.recipe_sha256,
        manifest=stored.manifest,
        origins=stored.origins,
        statistics=stored.statistics,
        page=stored.page,
        train=stored.splits[SplitName.TRAIN],
        validation=stored.splits[SplitName.VALIDATION],
        held_out=stored.splits[SplitName.HELD_OUT],
        report=stored.report,
        quality_score_0_1=stored.built.quality_score_0_1,
        status=Status.ACTIVE,
        created_at=now,
    )


def _end_validated(row: RequestRow, stored: Stored, now: datetime) -> None:
    row.state = RequestState.VALIDATED
    row.report = stored.report
    row.finished_at = now


def _validated(dataset: DatasetRow, version: VersionRow) -> DatasetValidated:
    return DatasetValidated(
        dataset_id=dataset.dataset_id,
        dataset_name=dataset.name,
        version=version.number,
        version_id=version.version_id,
        parent_version_id=version.parent_version_id,
        task_id=dataset.task_id,
        request_id=version.request_id,
        content_sha256=version.content_sha256,
        train=version.train,
        validation=version.validation,
        held_out=version.held_out,
        quality_score_0_1=version.quality_score_0_1,
        report=version.report,
        validated_at=version.created_at,
    )

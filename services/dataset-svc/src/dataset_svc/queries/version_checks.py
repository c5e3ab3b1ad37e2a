"""Everything that a stored version is made of, read back and compared with what was said of it."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec
import sqlalchemy as sa
from pydantic import Field

from dataset_svc.adapters.version_packs import OpenVersion, VersionPacks
from dataset_svc.domain.samples import SplitName
from dataset_svc.domain.versions.audits import CheckResult, PartRows, PartsAudit, VersionCheck
from dataset_svc.domain.versions.recipes import content_sha256_of, version_id_of
from dataset_svc.queries.datasets import VersionView, check_readable, read_version, splits_of
from dataset_svc.queries.diffs import open_version
from dataset_svc.queries.pages import View
from dataset_svc.store.tables import SampleRow
from loopwright.contracts.base import Artifact
from loopwright.errors import InvalidPayload, StoreUnavailable
from loopwright.storage import Storage
from loopwright.unit_of_work import Work

_NO_ROWS = PartRows(rows=0, digest="")


class CheckView(View):
    """One thing that a version promises."""

    check: VersionCheck
    passed: bool
    problems: tuple[str, ...] = Field(description="what fails, one sentence each; empty if it passed")


class VersionChecksView(View):
    """A stored version, looked at again."""

    version_id: str
    passed: bool = Field(description="whether every check passed")
    lines: dict[SplitName, int] = Field(description="lines that were read, by part")
    checks: tuple[CheckView, ...]


@dataclass(frozen=True, kw_only=True)
class VersionFacts:
    """What the database says of a version; storage says the rest."""

    version: VersionView
    rows: Mapping[SplitName, PartRows]


async def read_facts(unit: Work, version_id: str) -> VersionFacts:
    """What the database says.

    Raises:
        NotFound: there is no such version.
    """
    version = await read_version(unit, version_id)
    hashes = sa.func.string_agg(SampleRow.content_sha256, sa.literal("")).aggregate_order_by(SampleRow.position)
    digest = sa.func.encode(sa.func.sha256(sa.func.convert_to(hashes, "UTF8")), "hex")
    statement = (
        sa.select(SampleRow.split, sa.func.count(), digest)
        .where(SampleRow.version_id == version_id)
        .group_by(SampleRow.split)
    )
    found = (await unit.session.execute(statement)).all()
    rows = {SplitName(split): PartRows(rows=count, digest=text) for split, count, text in found}
    return VersionFacts(version=version, rows=rows)


async def check_version(facts: VersionFacts, packs: VersionPacks, storage: Storage) -> VersionChecksView:
    """Reads everything back; call it after the transaction, for it waits on storage.

    Raises:
        StoreUnavailable: storage is away. That an object is gone is a problem of the version.
        Expired: its files went, for it held a person's data that was erased.
    """
    version = facts.version
    check_readable(version)
    audit = PartsAudit()
    files = await _check_files(version, storage)
    unread = await _read_lines(version, packs, audit)
    shared_questions, shared_groups = await asyncio.to_thread(lambda: (audit.shared_questions(), audit.shared_groups()))
    results = (
        CheckResult(check=VersionCheck.FILES, problems=files),
        CheckResult(check=VersionCheck.HISTORY, problems=tuple(unread.values())),
        CheckResult(check=VersionCheck.CONTENT, problems=_check_content(version)),
        CheckResult(check=VersionCheck.PROVENANCE, problems=_check_provenance(facts, audit, unread)),
        CheckResult(check=VersionCheck.QUESTIONS_APART, problems=(*shared_questions, *_not_looked_at(unread))),
        CheckResult(check=VersionCheck.GROUPS_APART, problems=(*shared_groups, *_not_looked_at(unread))),
    )
    checks = tuple(CheckView(check=one.check, passed=not one.problems, problems=one.problems) for one in results)
    return VersionChecksView(
        version_id=version.version_id,
        passed=all(check.passed for check in checks),
        lines={name: audit.rows_of(name).rows for name in SplitName},
        checks=checks,
    )


async def _check_files(version: VersionView, storage: Storage) -> tuple[str, ...]:
    beside = {
        "report": version.report,
        "statistics": version.statistics,
        "page": version.page,
        "origins": version.origins,
    }
    parts = {str(name): split.artifact for name, split in splits_of(version).items()}
    named = parts | {name: artifact for name, artifact in beside.items() if artifact is not None}
    faults = [(name, await _fault_of(artifact, storage)) for name, artifact in named.items()]
    return tuple(f"{name}: {fault}" for name, fault in faults if fault is not None)


async def _fault_of(artifact: Artifact, storage: Storage) -> str | None:
    size = 0
    try:
        async for chunk in storage.chunks(artifact):
            size += len(chunk)
    except (InvalidPayload, StoreUnavailable) as error:
        return _problem_of(error)
    return None if size == artifact.size_bytes else f"{size} bytes, not {artifact.size_bytes}"


async def _read_lines(version: VersionView, packs: VersionPacks, audit: PartsAudit) -> dict[SplitName, str]:
    """Feeds the audit; for each part that cannot be read, why."""
    try:
        opened = await open_version(version, packs)
    except (InvalidPayload, StoreUnavailable) as error:
        return dict.fromkeys(SplitName, _problem_of(error))
    faults = {name: await _read_part(opened, name, version, audit) for name in SplitName}
    return {name: f"{name}: {fault}" for name, fault in faults.items() if fault is not None}


async def _read_part(opened: OpenVersion, name: SplitName, version: VersionView, audit: PartsAudit) -> str | None:
    if opened.snapshot.sha256[name] != splits_of(version)[name].artifact.sha256:
        return "the manifest names another file"
    try:
        async for piece in opened.lines(name):
            await asyncio.to_thread(audit.feed, name, piece)
    except (InvalidPayload, StoreUnavailable) as error:
        return _problem_of(error)
    except msgspec.DecodeError:
        return "a line is no sample"
    return None


def _problem_of(error: InvalidPayload | StoreUnavailable) -> str:
    if isinstance(error, StoreUnavailable) and error.code != "storage.object-missing":
        raise error
    return error.detail


def _check_content(version: VersionView) -> tuple[str, ...]:
    found: list[str] = []
    content = content_sha256_of(splits_of(version))
    if content != version.content_sha256:
        found.append("the hash over the parts is another one")
    if version.recipe_sha256 is not None and version_id_of(version.recipe_sha256, content) != version.version_id:
        found.append("the id does not follow from recipe and content")
    return tuple(found)


def _check_provenance(facts: VersionFacts, audit: PartsAudit, unread: Mapping[SplitName, str]) -> tuple[str, ...]:
    found: list[str] = []
    for name, split in splits_of(facts.version).items():
        if name in unread:
            continue
        lines, rows = audit.rows_of(name), facts.rows.get(name, _NO_ROWS)
        if lines.rows != split.samples:
            found.append(f"{name} has {lines.rows} lines, and {split.samples} samples were announced")
        if lines.rows != rows.rows:
            found.append(f"{name} has {lines.rows} lines, and the database {rows.rows} rows")
        elif lines.rows and lines.digest != rows.digest:
            found.append(f"the hashes of the rows of {name} in the database are not those of its lines")
    return (*found, *_not_looked_at(unread))


def _not_looked_at(unread: Mapping[SplitName, str]) -> tuple[str, ...]:
    return tuple(f"{name} could not be read whole" for name in unread)

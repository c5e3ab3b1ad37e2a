"""The steps of deleting objects and cleaning histories; each commits before or after the work in storage, never around it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import structlog

from dataset_svc.domain.deletions import Doomed, ObjectKind, Rows
from dataset_svc.store import cleanings, deletions, erasures
from dataset_svc.store.tables import VersionRow
from loopwright.contracts.base import Artifact
from loopwright.unit_of_work import Work

_log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class Cleaning:
    """A history from which rows must go.

    Attributes:
        manifest: Of the version as it stands now.
        manifests: Of all versions of the dataset, which may read the same packs.
    """

    cleaning_id: int
    dataset_id: str
    manifest: Artifact
    rows: Rows
    manifests: Mapping[str, Artifact]


async def take_deletion(unit: Work) -> Doomed | None:
    """The next object that may be deleted now, with this try counted; None if nothing is due.

    Objects that a version or an upload has come to refer to are spared; ones that are still to be read wait.
    """
    session = unit.session
    await erasures.lock(session)  # no version may be published between the look and the deletion's mark
    while (row := await deletions.find_due(session)) is not None:
        if await deletions.is_in_use(session, row):
            _log.info("object.spared", uri=row.uri, kind=row.kind)
            await deletions.drop(session, row)
        elif await deletions.must_wait(session, row):
            await deletions.postpone(session, row)
        else:
            await deletions.begin(session, row)
            return Doomed(uri=row.uri, kind=ObjectKind(row.kind))
        await session.flush()
    return None


async def finish_deletion(unit: Work, doomed: Doomed) -> None:
    await deletions.finish(unit.session, doomed.uri)


async def doom_if_erased(unit: Work, version_id: str) -> None:
    """Queues the files of a version's parts, should it have been erased while somebody wrote them."""
    version = await unit.session.get(VersionRow, version_id)
    if version is not None and version.erased_at is not None:
        parts = (version.train, version.validation, version.held_out)
        doomed = [Doomed(uri=part.artifact.uri, kind=ObjectKind.PART) for part in parts]
        await deletions.queue(unit.session, doomed, reason="written again while it was erased")


async def doom_if_composed_of_erased(unit: Work, source: Artifact, version_ids: Iterable[str]) -> None:
    """Queues a source for the time after its request, should a version in it have been erased while it was written."""
    versions = [await unit.session.get(VersionRow, version_id) for version_id in version_ids]
    if any(version is not None and version.erased_at is not None for version in versions):
        doomed = [Doomed(uri=source.uri, kind=ObjectKind.SOURCE)]
        await deletions.queue(unit.session, doomed, reason="composed of a version that was erased meanwhile")


async def take_cleaning(unit: Work) -> Cleaning | None:
    """The next history to clean, with this try counted; None if nothing is due."""
    session = unit.session
    row = await cleanings.find_due(session)
    if row is None:
        return None
    await cleanings.begin(session, row)
    manifests = await cleanings.list_manifests(session, row.dataset_id)
    version = None if row.version_id is None else await session.get_one(VersionRow, row.version_id)
    manifest = row.manifest if version is None else version.manifest
    assert manifest is not None, "histories without a manifest are not queued"
    return Cleaning(
        cleaning_id=row.cleaning_id, dataset_id=row.dataset_id, manifest=manifest, rows=row.rows.root,
        manifests=manifests,
    )  # fmt: skip


async def finish_cleaning(
    unit: Work, cleaning: Cleaning, *, moved: Mapping[str, Artifact], old_packs: Iterable[str]
) -> bool:
    """Gives versions their cleaned histories, and queues the packs that nobody names any more.

    Args:
        moved: New manifests by version.

    Returns:
        False, and nothing changed, if a manifest of the dataset changed meanwhile: it must be looked at first.
    """
    session = unit.session
    await erasures.lock(session)
    if await cleanings.list_manifests(session, cleaning.dataset_id) != cleaning.manifests:
        await cleanings.set_due(session, cleaning.cleaning_id)
        return False
    await cleanings.set_manifests(session, moved)
    doomed = [Doomed(uri=uri, kind=ObjectKind.PACK) for uri in old_packs]
    await deletions.queue(session, doomed, reason="holds rows of a person whose data was erased")
    await cleanings.finish(session, cleaning.cleaning_id)
    return True

"""HTTP door of versions: what they hold, where it came from, how good it is, and the files themselves."""

import asyncio
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse, StreamingResponse

from dataset_svc.adapters.version_packs import OpenVersion, materialise
from dataset_svc.api.doors import Door
from dataset_svc.api.paths import VersionId
from dataset_svc.api.schemas import StatusChange
from dataset_svc.api.streams import started
from dataset_svc.domain.report import QualityReport
from dataset_svc.domain.samples import SplitName
from dataset_svc.domain.statistics.figures import Statistics
from dataset_svc.domain.versions.exports import MEDIA_TYPES, Exporter, ExportFormat
from dataset_svc.domain.versions.lifecycle import Status
from dataset_svc.handlers.deletions import doom_if_erased
from dataset_svc.handlers.statuses import change_version_status
from dataset_svc.queries.datasets import VersionView, check_readable, read_version
from dataset_svc.queries.diffs import open_version
from dataset_svc.queries.reports import read_report, read_statistics
from dataset_svc.queries.samples import SampleView, add_texts, artifact_of, list_provenance
from dataset_svc.queries.version_checks import VersionChecksView, check_version, read_facts
from loopwright.auth import Engineer, Viewer
from loopwright.errors import Conflict, NotFound
from loopwright.pages import Page, Part
from loopwright.problems import ADMIN_PROBLEMS, declared

routes = APIRouter(prefix="/api/v1/admin/training/datasets/versions", tags=["versions"], responses=ADMIN_PROBLEMS)

InSplit = Annotated[SplitName | None, Query(alias="split", description="only samples of this part")]
WithFormat = Annotated[ExportFormat, Query(alias="format", description="lists and objects are JSON text but in jsonl")]
_FILE = {
    "description": "the file",
    "content": {media: {"schema": {"type": "string", "format": "binary"}} for media in MEDIA_TYPES.values()},
}
_GONE = declared(HTTPStatus.GONE)
_LINES = {"description": "the lines", "content": {"application/jsonl": {"schema": {"type": "string"}}}}


@routes.get("/{version_id}")
async def get_version(_: Viewer, door: Door, version_id: VersionId) -> VersionView:
    async with door.work() as unit:
        return await read_version(unit, version_id)


@routes.get("/{version_id}/samples", responses=_GONE)
async def get_samples(
    _: Viewer, door: Door, version_id: VersionId, part: Part, split: InSplit = None
) -> Page[SampleView]:
    async with door.work() as unit:
        version, page = await list_provenance(unit, version_id, part, split=split)
    return await add_texts(page, version, door.storage)


@routes.get("/{version_id}/report")
async def get_report(_: Viewer, door: Door, version_id: VersionId) -> QualityReport:
    async with door.work() as unit:
        version = await read_version(unit, version_id)
    return await read_report(version.report, door.storage)


@routes.get("/{version_id}/statistics")
async def get_statistics(_: Viewer, door: Door, version_id: VersionId) -> Statistics:
    async with door.work() as unit:
        version = await read_version(unit, version_id)
    if version.statistics is None:
        raise NotFound("dataset.no-statistics", "the version is older than statistics", version_id=version_id)
    return await read_statistics(version.statistics, door.storage)


@routes.get("/{version_id}/report.html", response_class=HTMLResponse)
async def get_page(_: Viewer, door: Door, version_id: VersionId) -> HTMLResponse:
    """Report and statistics as one page that needs nothing else."""
    async with door.work() as unit:
        version = await read_version(unit, version_id)
    if version.page is None:
        raise NotFound("dataset.no-page", "the version is older than pages", version_id=version_id)
    return HTMLResponse(await door.storage.read_bytes(version.page))


@routes.get("/{version_id}/splits/{split}", response_class=StreamingResponse, responses={200: _LINES, **_GONE})
async def get_split(_: Viewer, door: Door, version_id: VersionId, split: SplitName) -> StreamingResponse:
    """Downloads one part as JSON Lines; 410 once somebody's data in the version was erased."""
    async with door.work() as unit:
        version = await read_version(unit, version_id)
    check_readable(version)
    artifact = artifact_of(version, split)
    headers = {
        "Content-Disposition": f'attachment; filename="{version_id}-{split}.jsonl"',
        "Content-Length": str(artifact.size_bytes),
        "ETag": f'"{artifact.sha256}"',
    }
    return StreamingResponse(
        await started(door.storage.chunks(artifact)), headers=headers, media_type="application/jsonl"
    )


@routes.post("/{version_id}/deprecate")
async def post_deprecate(_: Engineer, door: Door, version_id: VersionId, body: StatusChange) -> VersionView:
    return await _change(door, version_id, wanted=Status.DEPRECATED, reason=body.reason)


@routes.post("/{version_id}/archive")
async def post_archive(_: Engineer, door: Door, version_id: VersionId, body: StatusChange) -> VersionView:
    return await _change(door, version_id, wanted=Status.ARCHIVED, reason=body.reason)


@routes.get("/{version_id}/download", response_class=StreamingResponse, responses={200: _FILE, **_GONE})
async def get_download(
    _: Viewer, door: Door, version_id: VersionId, wanted: WithFormat = ExportFormat.JSONL
) -> StreamingResponse:
    """Downloads all parts as one file; each row names its part."""
    async with door.work() as unit:
        version = await read_version(unit, version_id)
    opened = await open_version(version, door.packs)
    headers = {"Content-Disposition": f'attachment; filename="{version_id}.{wanted}"'}
    body = await started(_exported(opened, wanted))
    return StreamingResponse(body, headers=headers, media_type=MEDIA_TYPES[wanted])


@routes.post("/{version_id}/materialise", responses=_GONE)
async def post_materialise(_: Engineer, door: Door, version_id: VersionId) -> VersionView:
    """Writes the files of the parts again from the history, should somebody have removed them."""
    async with door.work() as unit:
        version = await read_version(unit, version_id)
    check_readable(version)
    if version.manifest is None:
        raise Conflict("dataset.no-history", "the version is older than the history of rows", version_id=version_id)
    await materialise(door.storage, await door.packs.open(version.manifest))
    async with door.work() as unit:
        await doom_if_erased(unit, version_id)  # an erasure that came meanwhile must not be undone
        return await read_version(unit, version_id)


@routes.post("/{version_id}/validate")
async def post_validate(_: Engineer, door: Door, version_id: VersionId) -> VersionChecksView:
    """Reads the version back and checks it: files, history, hashes, rows, and that nothing is on two sides of its split.

    Nothing is changed; what fails is in the answer, which is a 200 all the same.
    """
    async with door.work() as unit:
        facts = await read_facts(unit, version_id)
    return await check_version(facts, door.packs, door.storage)


async def _change(door: Door, version_id: str, *, wanted: Status, reason: str) -> VersionView:
    async with door.work() as unit:
        await change_version_status(unit, version_id, wanted=wanted, reason=reason)
        await unit.session.flush()
        return await read_version(unit, version_id)


async def _exported(version: OpenVersion, wanted: ExportFormat) -> AsyncIterator[bytes]:
    exporter = Exporter(wanted)
    for split in SplitName:
        async for lines in version.lines(split):
            yield await asyncio.to_thread(exporter.feed, split, lines)
    yield await asyncio.to_thread(exporter.finish)

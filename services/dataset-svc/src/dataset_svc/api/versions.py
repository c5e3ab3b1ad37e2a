"""HTTP door of versions: what they hold, where it came from, how good it is, and the files themselves."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse

from dataset_svc.api.doors import Door
from dataset_svc.api.schemas import StatusChange
from dataset_svc.domain.lifecycle import Status
from dataset_svc.domain.report import QualityReport
from dataset_svc.domain.samples import SplitName
from dataset_svc.handlers.statuses import change_version_status
from dataset_svc.queries.datasets import VersionView, read_version
from dataset_svc.queries.reports import read_report
from dataset_svc.queries.samples import SampleView, add_texts, artifact_of, list_provenance
from loopwright.auth import Engineer, Viewer
from loopwright.contracts.base import Artifact
from loopwright.pages import Page, Part
from loopwright.problems import ADMIN_PROBLEMS
from loopwright.storage import Storage

routes = APIRouter(prefix="/api/v1/admin/training/datasets/versions", tags=["versions"], responses=ADMIN_PROBLEMS)

InSplit = Annotated[SplitName | None, Query(alias="split", description="only samples of this part")]
_LINES = {"description": "the lines", "content": {"application/jsonl": {"schema": {"type": "string"}}}}


@routes.get("/{version_id}")
async def get_version(_: Viewer, door: Door, version_id: str) -> VersionView:
    async with door.work() as unit:
        return await read_version(unit, version_id)


@routes.get("/{version_id}/samples")
async def get_samples(_: Viewer, door: Door, version_id: str, part: Part, split: InSplit = None) -> Page[SampleView]:
    async with door.work() as unit:
        version, page = await list_provenance(unit, version_id, part, split=split)
    return await add_texts(page, version, door.storage)


@routes.get("/{version_id}/report")
async def get_report(_: Viewer, door: Door, version_id: str) -> QualityReport:
    async with door.work() as unit:
        version = await read_version(unit, version_id)
    return await read_report(version.report, door.storage)


@routes.get("/{version_id}/splits/{split}", response_class=StreamingResponse, responses={200: _LINES})
async def get_split(_: Viewer, door: Door, version_id: str, split: SplitName) -> StreamingResponse:
    """Downloads one part as JSON Lines."""
    async with door.work() as unit:
        version = await read_version(unit, version_id)
    artifact = artifact_of(version, split)
    headers = {
        "Content-Disposition": f'attachment; filename="{version_id}-{split}.jsonl"',
        "Content-Length": str(artifact.size_bytes),
        "ETag": f'"{artifact.sha256}"',
    }
    return StreamingResponse(await _started(door.storage, artifact), headers=headers, media_type="application/jsonl")


@routes.post("/{version_id}/deprecate")
async def post_deprecate(_: Engineer, door: Door, version_id: str, body: StatusChange) -> VersionView:
    return await _change(door, version_id, wanted=Status.DEPRECATED, reason=body.reason)


@routes.post("/{version_id}/archive")
async def post_archive(_: Engineer, door: Door, version_id: str, body: StatusChange) -> VersionView:
    return await _change(door, version_id, wanted=Status.ARCHIVED, reason=body.reason)


async def _change(door: Door, version_id: str, *, wanted: Status, reason: str) -> VersionView:
    async with door.work() as unit:
        await change_version_status(unit, version_id, wanted=wanted, reason=reason)
        await unit.session.flush()
        return await read_version(unit, version_id)


async def _started(storage: Storage, artifact: Artifact) -> AsyncIterator[bytes]:
    """The chunks, with the first one already read: an absent storage must be a problem response, not a broken body."""
    chunks = storage.chunks(artifact)
    first = await anext(chunks, b"")

    async def all_chunks() -> AsyncIterator[bytes]:
        yield first
        async for chunk in chunks:
            yield chunk

    return all_chunks()

"""What was written of samples, over HTTP: datasets to be, and files of evidence."""

from collections.abc import AsyncIterator

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse

from feedback_svc.api.door import IdFilter, InPath, Opener
from feedback_svc.queries.collecting import EvidenceExportView, get_evidence_export, list_evidence_exports
from feedback_svc.queries.learning import ExportView, get_export, list_exports
from loopwright.auth import Engineer, Viewer
from loopwright.contracts.base import Artifact
from loopwright.errors import Conflict, Expired
from loopwright.pages import Page, Part
from loopwright.problems import ADMIN_PROBLEMS
from loopwright.storage import Storage

routes = APIRouter(prefix="/api/v1/exports", tags=["exports"], responses=ADMIN_PROBLEMS)
_FILE: dict[int | str, dict[str, object]] = {
    200: {"content": {"application/jsonl": {"schema": {"type": "string"}}}, "description": "JSON Lines"}
}


@routes.get("")
async def exports(_: Viewer, opener: Opener, window: Part, task_id: IdFilter = None) -> Page[ExportView]:
    async with opener() as work:
        return await list_exports(work.session, window, task_id=task_id)


@routes.get("/evidence")
async def evidence(_: Viewer, opener: Opener, window: Part, task_id: IdFilter = None) -> Page[EvidenceExportView]:
    async with opener() as work:
        return await list_evidence_exports(work.session, window, task_id=task_id)


@routes.get("/evidence/{export_id}")
async def one_evidence(_: Viewer, opener: Opener, export_id: InPath) -> EvidenceExportView:
    async with opener() as work:
        return await get_evidence_export(work.session, export_id)


@routes.get("/evidence/{export_id}/download", response_class=StreamingResponse, responses=_FILE)
async def download_evidence(_: Engineer, opener: Opener, request: Request, export_id: InPath) -> StreamingResponse:
    async with opener() as work:
        view = await get_evidence_export(work.session, export_id)
    return await _download(request.app.state.storage, view.artifact, export_id, erased=view.erased_at is not None)


@routes.get("/{request_id}")
async def export(_: Viewer, opener: Opener, request_id: InPath) -> ExportView:
    async with opener() as work:
        return await get_export(work.session, request_id)


@routes.get("/{request_id}/download", response_class=StreamingResponse, responses=_FILE)
async def download(_: Engineer, opener: Opener, request: Request, request_id: InPath) -> StreamingResponse:
    async with opener() as work:
        view = await get_export(work.session, request_id)
    return await _download(request.app.state.storage, view.source, request_id, erased=view.erased_at is not None)


async def _download(storage: Storage, file: Artifact | None, name: str, *, erased: bool) -> StreamingResponse:
    """The file as it was written; its hash is checked on the way.

    Raises:
        Expired: it had to go, because somebody in it was erased.
        Conflict: nothing was written.
        StoreUnavailable: storage cannot be read.
    """
    if erased:
        raise Expired("export.erased", "the export had to go: a person in it was erased")
    if file is None:
        raise Conflict("export.not-written", "nothing was written yet")
    chunks = storage.chunks(file)
    first = await anext(chunks, b"")  # what cannot be read is a problem, and not a file that breaks off
    headers = {"Content-Disposition": f'attachment; filename="{name}.jsonl"'}
    return StreamingResponse(_after(first, chunks), media_type=file.media_type, headers=headers)


async def _after(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for chunk in rest:
        yield chunk

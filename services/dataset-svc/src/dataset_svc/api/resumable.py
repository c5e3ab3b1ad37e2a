"""HTTP door of uploads in pieces, after the pattern of tus 1.0: begin, ask how far it is, go on from there."""

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Header, HTTPException, Request, Response

from dataset_svc.api.doors import Door
from dataset_svc.api.paths import PathId
from dataset_svc.api.receiving import Receiver, finish_if_whole, refuse_beyond_end
from dataset_svc.api.schemas import NewUpload
from dataset_svc.domain.sources.columns import check_mapping
from dataset_svc.domain.sources.uploads import (
    Upload,
    UploadState,
    check_offset,
    check_receiving,
    read_checksum,
)
from dataset_svc.handlers.uploads import begin_upload, load_upload
from dataset_svc.queries.uploads import UploadView, read_upload
from loopwright.auth import Engineer
from loopwright.problems import declared

PATH = "/uploads"
_FULL_PATH = "/api/v1/admin/training/datasets/uploads"
_REQUESTS_PATH = "/api/v1/admin/training/datasets/requests"
_BODY = {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}
routes = APIRouter()


Offset = Annotated[int, Header(alias="Upload-Offset", ge=0, le=2**53, description="first byte of this piece")]
Checksum = Annotated[str | None, Header(alias="Upload-Checksum", description="`sha256 <base64>` of this piece")]


@dataclass(frozen=True, kw_only=True)
class PieceFacts:
    """What the headers of a piece say of it.

    Attributes:
        digest: SHA-256 of the piece; None if it was not sent.
    """

    offset: int
    digest: bytes | None


def _piece_facts(_: Engineer, offset: Offset, checksum: Checksum = None) -> PieceFacts:
    return PieceFacts(offset=offset, digest=None if checksum is None else read_checksum(checksum))


PieceHeaders = Annotated[PieceFacts, Depends(_piece_facts)]


@routes.post(PATH, status_code=HTTPStatus.CREATED, responses=declared(HTTPStatus.REQUEST_ENTITY_TOO_LARGE))
async def post_upload(principal: Engineer, door: Door, body: NewUpload, response: Response) -> UploadView:
    """Begins an upload in pieces; `Location` is where they go."""
    if body.mapping is not None:
        check_mapping(body.mapping)
    if body.size_bytes > door.upload_rules.max_bytes:
        raise HTTPException(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a file may have at most {door.upload_rules.max_bytes} bytes"
        )
    upload = _new_upload(body, by=principal.subject, now=datetime.now(UTC))
    async with door.work() as unit:
        await begin_upload(unit, upload)
        await unit.session.flush()
        view = await read_upload(unit, upload.upload_id)
    _tell(response, view)
    response.headers["Location"] = f"{_FULL_PATH}/{upload.upload_id}"
    return view


@routes.get(PATH + "/{upload_id}")
async def get_upload(_: Engineer, door: Door, upload_id: PathId, response: Response) -> UploadView:
    async with door.work() as unit:
        view = await read_upload(unit, upload_id)
    _tell(response, view)
    return view


@routes.head(PATH + "/{upload_id}", response_class=Response, responses=declared(HTTPStatus.GONE))
async def head_upload(_: Engineer, door: Door, upload_id: PathId) -> Response:
    """How far it is, in `Upload-Offset`; 410 if it expired."""
    async with door.work() as unit:
        upload, _pieces = await load_upload(unit, upload_id)
        view = await read_upload(unit, upload_id)
    if upload.state is not UploadState.COMPLETE:
        check_receiving(upload, door.upload_rules, now=datetime.now(UTC))
    response = Response()
    _tell(response, view)
    return response


@routes.patch(
    PATH + "/{upload_id}",
    responses=declared(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.GONE),
    openapi_extra={"requestBody": _BODY},
)
async def patch_upload(
    door: Door, piece: PieceHeaders, upload_id: PathId, request: Request, response: Response
) -> UploadView:
    """Appends a piece; the last one makes the file a request, whose place `Location` then is."""
    async with door.work() as unit:
        upload, _pieces = await load_upload(unit, upload_id)
    check_receiving(upload, door.upload_rules, now=datetime.now(UTC))
    check_offset(upload, piece.offset)
    declared_length = request.headers.get("content-length", "")
    refuse_beyond_end(upload, piece.offset + (int(declared_length) if declared_length.isdecimal() else 0))
    upload = await Receiver(door, upload, digest=piece.digest).take(request.stream())
    await finish_if_whole(door, upload)
    async with door.work() as unit:
        view = await read_upload(unit, upload_id)
    _tell(response, view)
    return view


def _tell(response: Response, view: UploadView) -> None:
    response.headers["Upload-Offset"] = str(view.received_bytes)
    response.headers["Upload-Length"] = str(view.size_bytes)
    response.headers["Cache-Control"] = "no-store"
    if view.request_id is not None:
        response.headers["Location"] = f"{_REQUESTS_PATH}/{view.request_id}"


def _new_upload(body: NewUpload, *, by: str, now: datetime) -> Upload:
    return Upload(
        upload_id=uuid.uuid4().hex,
        filename=body.filename,
        size_bytes=body.size_bytes,
        sha256=body.sha256,
        task_id=body.task_id,
        dataset_name=body.dataset_name or body.task_id,
        description=body.description,
        policy=body.policy,
        mapping=body.mapping,
        state=UploadState.RECEIVING,
        received_bytes=0,
        created_by=by,
        created_at=now,
        touched_at=now,
        request_id=None,
    )

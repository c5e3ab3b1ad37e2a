"""HTTP door of uploads: a file of any known kind goes the same way as an export of feedback."""

import uuid
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TypeVar

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import TypeAdapter, ValidationError
from starlette.datastructures import FormData

from dataset_svc.adapters.nameless_files import path_of
from dataset_svc.api import resumable
from dataset_svc.api.bodies import file_field, text_field
from dataset_svc.api.doors import Door, Doorway
from dataset_svc.api.paths import RequestId
from dataset_svc.api.schemas import Accepted, Text
from dataset_svc.api.streams import started
from dataset_svc.domain.requests import Origin, Purpose, VersionRequest
from dataset_svc.domain.sources.columns import ColumnMapping, check_mapping
from dataset_svc.handlers.requests import record_request
from dataset_svc.queries.uploads import find_rejects
from loopwright.auth import Engineer, Principal
from loopwright.contracts.base import Identifier
from loopwright.contracts.tasks import DataPolicy
from loopwright.errors import Invalid
from loopwright.problems import ADMIN_PROBLEMS, declared
from loopwright.telemetry import current_traceparent

_LINES = {"description": "the lines", "content": {"application/jsonl": {"schema": {"type": "string"}}}}
T = TypeVar("T")
PREFIX = "/api/v1/admin/training/datasets"
_MOST_FIELDS = 20
_FIELD_BYTES = 64 << 10
routes = APIRouter(prefix=PREFIX, tags=["uploads"], responses=ADMIN_PROBLEMS)
routes.include_router(resumable.routes)

_identifier = TypeAdapter[str](Identifier)
_text = TypeAdapter[str](Text)
_mapping = TypeAdapter[ColumnMapping](ColumnMapping)
_LONGEST_FILENAME = 255
_FORM = {
    "type": "object",
    "required": ["file", "task_id"],
    "properties": {
        "file": {
            "type": "string",
            "format": "binary",
            "description": "JSON, JSONL, CSV or Parquet, plain or packed by gzip or zstd",
        },
        "task_id": {"type": "string", "description": "task that the samples teach"},
        "dataset_name": {"type": "string", "description": "dataset that gets a new version; the task's id if left out"},
        "description": {"type": "string", "description": "of the dataset, if this makes it"},
        "policy": {"type": "string", "description": "data policy as JSON; what it leaves out has its default"},
        "mapping": {"type": "string", "description": 'which columns hold what, as JSON: `{"prompt": "question"}`'},
    },
}


_BODY = {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": _FORM}}}}
_TOO_LARGE = declared(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)


@routes.post("", status_code=HTTPStatus.ACCEPTED, responses=_TOO_LARGE, openapi_extra=_BODY)
async def post_dataset(principal: Engineer, door: Door, request: Request, response: Response) -> Accepted:
    """Takes a file and queues it; the version appears when it is built, the reasons if it is not."""
    wanted = await _wanted(principal, door, request, Purpose.VERSION)
    return await _queue(door, wanted, response)


@routes.post("/validate", status_code=HTTPStatus.ACCEPTED, responses=_TOO_LARGE, openapi_extra=_BODY)
async def post_validate(principal: Engineer, door: Door, request: Request, response: Response) -> Accepted:
    """A dry run of an upload: read, masked, scored, de-duplicated and divided as one, and no version is made of it.

    It waits in the same queue. What it found is at `requests/{id}/report`, its bad records at `requests/{id}/rejects`;
    the request ends as `validated` if a version would have been made, as `rejected` with the reasons if not. Nobody is
    told by event.
    """
    wanted = await _wanted(principal, door, request, Purpose.DRY_RUN)
    return await _queue(door, wanted, response)


async def _wanted(principal: Principal, door: Doorway, request: Request, purpose: Purpose) -> VersionRequest:
    async with request.form(max_files=1, max_fields=_MOST_FIELDS, max_part_size=_FIELD_BYTES) as form:
        task_id = _field(form, "task_id", _identifier)
        if task_id is None:
            raise Invalid("upload.no-task", "the form has no task_id", field="task_id")
        name = _field(form, "dataset_name", _identifier) or task_id
        description = _field(form, "description", _text) or ""
        policy, mapping = _policy(form), _mapping_of(form)
        file = file_field(form, "file")
        dry = purpose is Purpose.DRY_RUN
        # the source of a dry run goes when it ends, and must not be that of an upload with the same bytes
        source = await door.storage.put_file(
            path_of(file.file),
            kind="dry-runs" if dry else "uploads",
            suffix=".bin",
            media_type="application/octet-stream",
        )
    return VersionRequest(
        request_id=f"{'dry-run' if dry else 'upload'}-{uuid.uuid4().hex}",
        task_id=task_id,
        dataset_name=name,
        description=description,
        origin=Origin.UPLOAD,
        requested_by=principal.subject,
        requested_at=datetime.now(UTC),
        reason="dry run of an upload" if dry else "upload",
        source=source,
        sample_count=None,
        policy=policy,
        traceparent=current_traceparent(),
        source_name=(file.filename or "").replace("\0", "")[:_LONGEST_FILENAME],
        mapping=mapping,
        purpose=purpose,
    )


async def _queue(door: Doorway, wanted: VersionRequest, response: Response) -> Accepted:
    async with door.work() as unit:
        await record_request(unit, wanted)
    response.headers["Location"] = f"{PREFIX}/requests/{wanted.request_id}"
    return Accepted(
        request_id=wanted.request_id,
        dataset_name=wanted.dataset_name,
        task_id=wanted.task_id,
        size_bytes=wanted.source.size_bytes,
    )


@routes.get("/requests/{request_id}/rejects", response_class=StreamingResponse, responses={200: _LINES})
async def get_rejects(_: Engineer, door: Door, request_id: RequestId) -> StreamingResponse:
    """Downloads the records that could not be read, as JSON Lines of `{line, field, reason, raw}`."""
    async with door.work() as unit:
        artifact = await find_rejects(unit, request_id)
    headers = {
        "Content-Disposition": f'attachment; filename="rejects-{artifact.sha256[:12]}.jsonl"',
        "Content-Length": str(artifact.size_bytes),
    }
    return StreamingResponse(
        await started(door.storage.chunks(artifact)), headers=headers, media_type="application/jsonl"
    )


def _field(form: FormData, name: str, adapter: TypeAdapter[T]) -> T | None:
    text = text_field(form, name)
    if text is None:
        return None
    try:
        return adapter.validate_python(text)
    except ValidationError as error:
        raise Invalid("upload.bad-field", f"{name}: {error.errors()[0]['msg']}", field=name) from error


def _policy(form: FormData) -> DataPolicy:
    text = text_field(form, "policy")
    if text is None:
        return DataPolicy()
    try:
        return DataPolicy.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(("policy", *(str(part) for part in first["loc"])))
        raise Invalid("upload.bad-field", f"{place}: {first['msg']}", field="policy") from error


def _mapping_of(form: FormData) -> ColumnMapping | None:
    text = text_field(form, "mapping")
    if text is None:
        return None
    try:
        mapping = _mapping.validate_json(text)
    except ValidationError as error:
        raise Invalid("upload.bad-mapping", f"mapping: {error.errors()[0]['msg']}", field="mapping") from error
    check_mapping(mapping)
    return mapping

"""HTTP door of documents, and of the samples that a model writes from them."""

import hashlib
import uuid
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from starlette.datastructures import UploadFile

from dataset_svc.api.paths import PathId
from dataset_svc.api.text_doors import TextDoor
from dataset_svc.api.text_schemas import GenerationBody
from dataset_svc.domain.texts.documents import clean
from dataset_svc.domain.texts.generations import GenerationState
from dataset_svc.handlers.documents import (
    GenerationWish,
    UploadedDocument,
    add_document,
    delete_document,
    queue_generation,
)
from dataset_svc.queries.documents import (
    DocumentDetails,
    DocumentView,
    GenerationView,
    list_documents,
    list_generations,
    read_document,
    read_generation,
)
from loopwright.auth import Engineer, Viewer
from loopwright.errors import Conflict, Invalid
from loopwright.pages import Page, Part
from loopwright.problems import ADMIN_PROBLEMS, declared
from loopwright.telemetry import current_traceparent

PREFIX = "/api/v1/admin/training/documents"
routes = APIRouter(prefix=PREFIX, tags=["documents"], responses=ADMIN_PROBLEMS)

OfDocument = Annotated[str | None, Query(max_length=200, pattern=r"^[^\x00]*$", description="only those from it")]
WithState = Annotated[GenerationState | None, Query(alias="state", description="only those in this state")]
_FORM = {
    "type": "object",
    "required": ["file"],
    "properties": {
        "file": {"type": "string", "format": "binary", "description": "text, Markdown, HTML, PDF or DOCX"},
    },
}


@routes.post(
    "",
    status_code=HTTPStatus.CREATED,
    responses=declared(HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
    openapi_extra={"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": _FORM}}}},
)
async def post_document(principal: Engineer, door: TextDoor, request: Request, response: Response) -> DocumentView:
    """Reads a file in a process of its own and keeps its text; the file itself is not kept."""
    async with request.form(max_files=1, max_fields=10, max_part_size=64 << 10) as form:
        content, name = await _file_of(form.get("file"), door.max_document_bytes)
    read = await door.documents.read(content, name=name)
    document = UploadedDocument(
        document_id=f"doc-{uuid.uuid4().hex}",
        name=name,
        format=read.format,
        size_bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        text=read.document,
        uploaded_by=principal.subject,
        uploaded_at=datetime.now(UTC),
    )
    async with door.work() as unit:
        await add_document(unit, document)
        await unit.session.flush()
        view = await read_document(unit, document.document_id)
    response.headers["Location"] = f"{PREFIX}/{document.document_id}"
    return DocumentView.model_validate(view)


@routes.get("")
async def get_documents(_: Viewer, door: TextDoor, part: Part) -> Page[DocumentView]:
    async with door.work() as unit:
        return await list_documents(unit, part)


@routes.get("/generations")
async def get_generations(
    _: Viewer, door: TextDoor, part: Part, document_id: OfDocument = None, state: WithState = None
) -> Page[GenerationView]:
    async with door.work() as unit:
        return await list_generations(unit, part, document_id=document_id, state=state)


@routes.get("/generations/{generation_id}")
async def get_generation(_: Viewer, door: TextDoor, generation_id: PathId) -> GenerationView:
    async with door.work() as unit:
        return await read_generation(unit, generation_id)


@routes.get("/{document_id}")
async def get_document(_: Viewer, door: TextDoor, document_id: PathId) -> DocumentDetails:
    async with door.work() as unit:
        return await read_document(unit, document_id)


@routes.delete("/{document_id}", status_code=HTTPStatus.NO_CONTENT)
async def remove_document(_: Engineer, door: TextDoor, document_id: PathId) -> None:
    """Deletes the text, the work on it, and its chunks in every knowledge base; samples made from it stay."""
    async with door.work() as unit:
        await delete_document(unit, document_id)


@routes.post("/{document_id}/generate", status_code=HTTPStatus.ACCEPTED)
async def post_generation(
    principal: Engineer, door: TextDoor, document_id: PathId, body: GenerationBody, response: Response
) -> GenerationView:
    """Queues samples; their version appears when they are written, judged and built."""
    if door.pair_model is None:
        raise Conflict("generation.no-model", "this service was started without an endpoint that writes pairs")
    wish = GenerationWish(
        generation_id=uuid.uuid4().hex,
        document_id=document_id,
        template=body.template,
        pairs=body.pairs,
        min_score_0_1=body.min_score_0_1,
        chunks=body.chunks.rules,
        model=door.pair_model,
        task_id=body.task_id,
        dataset_name=body.dataset_name or body.task_id,
        policy=body.policy,
        requested_by=principal.subject,
        requested_at=datetime.now(UTC),
        traceparent=current_traceparent(),
    )
    async with door.work() as unit:
        await queue_generation(unit, wish)
        await unit.session.flush()
        view = await read_generation(unit, wish.generation_id)
    response.headers["Location"] = f"{PREFIX}/generations/{wish.generation_id}"
    return view


async def _file_of(field: UploadFile | str | None, most_bytes: int) -> tuple[bytes, str]:
    """Content and name of an uploaded file.

    Raises:
        Invalid: there is none, or it is empty or too large.
    """
    if not isinstance(field, UploadFile) or not field.size:
        raise Invalid("upload.no-file", "the form has no file named file, or an empty one", field="file")
    if field.size > most_bytes:
        raise Invalid("document.too-large", f"the file is larger than {most_bytes} bytes", limit=most_bytes)
    name = " ".join(clean(field.filename or "").split()).rpartition("/")[2][:200]
    return await field.read(), name or "document"

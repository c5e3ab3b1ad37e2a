"""HTTP door of model files: uploaded and registered, and taken away again."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Path, Request
from fastapi.responses import StreamingResponse

from loopwright.auth import Engineer, Viewer
from loopwright.contracts.base import Artifact
from loopwright.pages import Page, Part
from loopwright.problems import ADMIN_PROBLEMS, declared
from registry_svc.api.doors import Door, InPath
from registry_svc.api.model_schemas import RegistrationRequest
from registry_svc.domain.models import VariantId
from registry_svc.handlers.models import files_to_hand_out, log_download
from registry_svc.handlers.registrations import FilesOffered, request_registration
from registry_svc.queries.uses import RegistrationView, list_registrations, read_registration

routes = APIRouter(prefix="/api/v1/admin", tags=["models"], responses=ADMIN_PROBLEMS)
Version = Annotated[int, Path(ge=1, le=2**31 - 1)]
_BYTES = {"schema": {"type": "string", "format": "binary"}}


@routes.post(
    "/model-files",
    status_code=HTTPStatus.CREATED,
    responses=declared(HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
    openapi_extra={"requestBody": {"required": True, "content": {"application/octet-stream": _BYTES}}},
)
async def post_model_files(_: Engineer, door: Door, request: Request) -> Artifact:
    """Takes an uncompressed tar as it comes; register what is answered by `POST /models`."""
    return await door.transfers.take(request.stream())


@routes.post("/models", status_code=HTTPStatus.ACCEPTED)
async def post_model(principal: Engineer, door: Door, body: RegistrationRequest) -> RegistrationView:
    """Registers files in storage: they are fetched, verified and known to MLflow a little later."""
    offered = FilesOffered(
        name=body.name or body.task_id, task_id=body.task_id, base_model=body.base_model, format=body.format,
        artifact=body.artifact, settings=body.settings, description=body.description,
        tags=tuple(dict.fromkeys(body.tags)), by=principal.subject,
    )  # fmt: skip
    async with door.work() as unit:
        return await read_registration(unit, await request_registration(offered, unit, reserved=door.base_models))


@routes.get("/registrations")
async def get_registrations(_: Viewer, door: Door, part: Part) -> Page[RegistrationView]:
    async with door.work() as unit:
        return await list_registrations(unit, part)


@routes.get("/registrations/{registration_id}")
async def get_registration(_: Viewer, door: Door, registration_id: InPath) -> RegistrationView:
    async with door.work() as unit:
        return await read_registration(unit, registration_id)


@routes.get(
    "/models/{name}/versions/{version}/download",
    response_class=StreamingResponse,
    responses={HTTPStatus.OK: {"content": {"application/x-tar": _BYTES}, "description": "tar of the version's files"}},
)
async def get_download(principal: Engineer, door: Door, name: InPath, version: Version) -> StreamingResponse:
    """Streams a version's files; who took them is in its log."""
    variant = VariantId(name, version)
    async with door.work() as unit:
        artifact = await files_to_hand_out(variant, unit)
    stream = await door.transfers.open(artifact)  # what cannot be read was not taken
    async with door.work() as unit:
        await log_download(variant, unit, by=principal.subject)
    headers = {
        "Content-Disposition": f'attachment; filename="{name}-v{version}.tar"',
        "Content-Length": str(artifact.size_bytes),
        "ETag": f'"{artifact.sha256}"',
    }
    return StreamingResponse(stream, media_type="application/x-tar", headers=headers)

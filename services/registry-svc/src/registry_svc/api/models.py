"""HTTP door of model versions, and of the jobs on their way to become them."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from fastapi.responses import PlainTextResponse

from loopwright.auth import Admin, Engineer, Viewer
from loopwright.contracts.base import Identifier
from loopwright.pages import Page, Part
from loopwright.problems import ADMIN_PROBLEMS
from registry_svc.api.doors import Door, InPath
from registry_svc.api.model_schemas import ArchiveRequest, DescriptionRequest, Tag
from registry_svc.api.schemas import PromotionRequest
from registry_svc.domain.artefacts import ModelFormat
from registry_svc.domain.cards import ModelCard, as_markdown
from registry_svc.domain.listing import ModelFilter
from registry_svc.domain.models import ModelStatus, VariantId
from registry_svc.handlers.models import Words, archive_model, describe_model
from registry_svc.handlers.promotions import Order, promote
from registry_svc.queries.cards import read_card
from registry_svc.queries.deployments import DeploymentView, read_deployment
from registry_svc.queries.lineage import LineageView, read_lineage
from registry_svc.queries.models import ListedModelView, ModelView, list_models, read_model
from registry_svc.queries.releases import ReleaseView, list_releases
from registry_svc.queries.uses import FindingView, UseView, list_mlflow_findings, list_uses

routes = APIRouter(prefix="/api/v1/admin", tags=["models"], responses=ADMIN_PROBLEMS)


Version = Annotated[int, Path(ge=1, le=2**31 - 1)]  # PostgreSQL's integer


def _wanted(
    status: Annotated[ModelStatus | None, Query(description="only versions with this status")] = None,
    name: Annotated[Identifier | None, Query(description="only versions of this model")] = None,
    model_format: Annotated[ModelFormat | None, Query(alias="format", description="only in this format")] = None,
    task_id: Annotated[Identifier | None, Query(description="only for this task")] = None,
    tag: Annotated[list[Tag] | None, Query(max_length=20, description="only with all of these tags")] = None,
) -> ModelFilter:
    return ModelFilter(name=name, status=status, model_format=model_format, task_id=task_id, tags=tuple(tag or ()))


Wanted = Annotated[ModelFilter, Depends(_wanted)]


@routes.get("/models")
async def get_models(_: Viewer, door: Door, part: Part, wanted: Wanted) -> Page[ListedModelView]:
    async with door.work() as unit:
        return await list_models(unit, wanted, part)


@routes.get("/models/{name}/versions")
async def get_versions(_: Viewer, door: Door, name: InPath, part: Part) -> Page[ListedModelView]:
    async with door.work() as unit:
        return await list_models(unit, ModelFilter(name=name), part)


@routes.get("/models/{name}/versions/{version}")
async def get_version(_: Viewer, door: Door, name: InPath, version: Version) -> ModelView:
    async with door.work() as unit:
        return await read_model(unit, VariantId(name, version))


@routes.get("/models/{name}/versions/{version}/lineage")
async def get_lineage(_: Viewer, door: Door, name: InPath, version: Version) -> LineageView:
    async with door.work() as unit:
        return await read_lineage(unit, VariantId(name, version))


@routes.patch("/models/{name}/versions/{version}")
async def patch_version(
    principal: Engineer, door: Door, name: InPath, version: Version, body: DescriptionRequest
) -> ModelView:
    variant = VariantId(name, version)
    words = Words(description=body.description, tags=body.tags, settings=body.settings)
    async with door.work() as unit:
        await describe_model(variant, words, unit, by=principal.subject)
        return await read_model(unit, variant)


@routes.post("/models/{name}/versions/{version}/archive")
async def post_archive(principal: Admin, door: Door, name: InPath, version: Version, body: ArchiveRequest) -> ModelView:
    variant = VariantId(name, version)
    async with door.work() as unit:
        await archive_model(variant, unit, reason=body.reason, by=principal.subject)
        return await read_model(unit, variant)


@routes.get("/models/{name}/versions/{version}/uses")
async def get_uses(_: Viewer, door: Door, name: InPath, version: Version, part: Part) -> Page[UseView]:
    async with door.work() as unit:
        return await list_uses(unit, VariantId(name, version), part)


@routes.get("/models/{name}/versions/{version}/card")
async def get_card(_: Viewer, door: Door, name: InPath, version: Version) -> ModelCard:
    async with door.work() as unit:
        return await read_card(unit, VariantId(name, version))


@routes.get(
    "/models/{name}/versions/{version}/card.md",
    response_class=PlainTextResponse,
    responses={HTTPStatus.OK: {"content": {"text/markdown": {"schema": {"type": "string"}}}}},
)
async def get_card_markdown(_: Viewer, door: Door, name: InPath, version: Version) -> PlainTextResponse:
    async with door.work() as unit:
        card = await read_card(unit, VariantId(name, version))
    return PlainTextResponse(as_markdown(card), media_type="text/markdown")


@routes.get("/mlflow-findings")
async def get_mlflow_findings(_: Viewer, door: Door, part: Part) -> Page[FindingView]:
    """Versions in MLflow that are none of our rows, and why that may be."""
    async with door.work() as unit:
        return await list_mlflow_findings(unit, part)


@routes.post("/models/{name}/versions/{version}/promote")
async def post_promotion(
    principal: Admin, door: Door, name: InPath, version: Version, body: PromotionRequest
) -> DeploymentView:
    order = Order(task_id=body.task_id, revision=body.revision, reason=body.reason, by=principal.subject)
    await promote(VariantId(name, version), order, door.means)
    async with door.work() as unit:
        return await read_deployment(unit, body.task_id)


@routes.get("/releases")
async def get_releases(_: Viewer, door: Door, part: Part) -> Page[ReleaseView]:
    async with door.work() as unit:
        return await list_releases(unit, part)

"""HTTP door of model versions, and of the jobs on their way to become them."""

from typing import Annotated

from fastapi import APIRouter, Path, Query

from loopwright.auth import Admin, Viewer
from loopwright.pages import Page, Part
from loopwright.problems import ADMIN_PROBLEMS
from registry_svc.api.doors import Door, InPath
from registry_svc.api.schemas import PromotionRequest
from registry_svc.domain.models import ModelStatus, VariantId
from registry_svc.handlers.promotions import Order, promote
from registry_svc.queries.deployments import DeploymentView, read_deployment
from registry_svc.queries.lineage import LineageView, read_lineage
from registry_svc.queries.models import EvaluationView, ModelView, list_evaluations, list_models, read_model
from registry_svc.queries.releases import ReleaseView, list_releases

routes = APIRouter(prefix="/api/v1/admin", tags=["models"], responses=ADMIN_PROBLEMS)


Version = Annotated[int, Path(ge=1, le=2**31 - 1)]  # PostgreSQL's integer


@routes.get("/models")
async def get_models(
    _: Viewer,
    door: Door,
    part: Part,
    status: Annotated[ModelStatus | None, Query(description="only versions with this status")] = None,
) -> Page[ModelView]:
    async with door.work() as unit:
        return await list_models(unit, part, status=status)


@routes.get("/models/{name}/versions")
async def get_versions(_: Viewer, door: Door, name: InPath, part: Part) -> Page[ModelView]:
    async with door.work() as unit:
        return await list_models(unit, part, name=name)


@routes.get("/models/{name}/versions/{version}")
async def get_version(_: Viewer, door: Door, name: InPath, version: Version) -> ModelView:
    async with door.work() as unit:
        return await read_model(unit, VariantId(name, version))


@routes.get("/models/{name}/versions/{version}/lineage")
async def get_lineage(_: Viewer, door: Door, name: InPath, version: Version) -> LineageView:
    async with door.work() as unit:
        return await read_lineage(unit, VariantId(name, version))


@routes.get("/models/{name}/versions/{version}/evaluations")
async def get_evaluations(
    _: Viewer,
    door: Door,
    name: InPath,
    version: Version,
    part: Part,
    answers: Annotated[bool, Query(description="whether every answer to every case comes along")] = True,  # noqa: FBT002 - a query parameter
) -> Page[EvaluationView]:
    async with door.work() as unit:
        return await list_evaluations(unit, VariantId(name, version), part, with_answers=answers)


@routes.post("/models/{name}/versions/{version}/promote")
async def post_promotion(
    principal: Admin, door: Door, name: InPath, version: Version, body: PromotionRequest
) -> DeploymentView:
    order = Order(task_id=body.task_id, revision=body.revision, reason=body.reason, by=principal.subject)
    await promote(VariantId(name, version), order, work=door.work, serving=door.serving)
    async with door.work() as unit:
        return await read_deployment(unit, body.task_id)


@routes.get("/releases")
async def get_releases(_: Viewer, door: Door, part: Part) -> Page[ReleaseView]:
    async with door.work() as unit:
        return await list_releases(unit, part)

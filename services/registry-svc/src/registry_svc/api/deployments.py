"""HTTP door of deployments."""

from fastapi import APIRouter

from loopwright.auth import Admin, Viewer
from loopwright.pages import Page, Part
from loopwright.problems import ADMIN_PROBLEMS
from registry_svc.api.doors import Door, InPath
from registry_svc.api.schemas import RollbackRequest
from registry_svc.domain.models import VariantId
from registry_svc.handlers.promotions import Order, roll_back
from registry_svc.queries.deployments import (
    DeploymentChangeView,
    DeploymentView,
    list_deployments,
    read_deployment,
    read_deployment_history,
)

routes = APIRouter(prefix="/api/v1/admin/deployments", tags=["deployments"], responses=ADMIN_PROBLEMS)


@routes.get("")
async def get_deployments(_: Viewer, door: Door, part: Part) -> Page[DeploymentView]:
    async with door.work() as unit:
        return await list_deployments(unit, part)


@routes.get("/{task_id}")
async def get_deployment(_: Viewer, door: Door, task_id: InPath) -> DeploymentView:
    async with door.work() as unit:
        return await read_deployment(unit, task_id)


@routes.get("/{task_id}/history")
async def get_history(_: Viewer, door: Door, task_id: InPath, part: Part) -> Page[DeploymentChangeView]:
    async with door.work() as unit:
        return await read_deployment_history(unit, task_id, part)


@routes.post("/{task_id}/rollback")
async def post_rollback(principal: Admin, door: Door, task_id: InPath, body: RollbackRequest) -> DeploymentView:
    order = Order(task_id=task_id, revision=body.revision, reason=body.reason, by=principal.subject)
    to = None if body.variant_id is None else VariantId.parse(body.variant_id)
    await roll_back(order, door.means, to=to)
    async with door.work() as unit:
        return await read_deployment(unit, task_id)

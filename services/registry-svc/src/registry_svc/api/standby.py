"""HTTP door for versions beside the champion: loaded for questions by their name, and taken away again."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from loopwright.auth import Admin, Viewer
from loopwright.problems import ADMIN_PROBLEMS
from registry_svc.api.doors import Door, InPath
from registry_svc.api.models import Version
from registry_svc.api.schemas import PromotionRequest
from registry_svc.domain.models import VariantId
from registry_svc.handlers.promotions import Order
from registry_svc.handlers.standby import deploy, undeploy
from registry_svc.queries.deployments import DeploymentView, read_deployment
from registry_svc.queries.manifests import read_manifest

routes = APIRouter(prefix="/api/v1/admin/models", tags=["deployments"], responses=ADMIN_PROBLEMS)


@routes.post("/{name}/versions/{version}/deploy")
async def post_deploy(
    principal: Admin, door: Door, name: InPath, version: Version, body: PromotionRequest
) -> DeploymentView:
    await deploy(VariantId(name, version), _order(body, by=principal.subject), door.means)
    async with door.work() as unit:
        return await read_deployment(unit, body.task_id)


@routes.post("/{name}/versions/{version}/undeploy")
async def post_undeploy(
    principal: Admin, door: Door, name: InPath, version: Version, body: PromotionRequest
) -> DeploymentView:
    await undeploy(VariantId(name, version), _order(body, by=principal.subject), door.means)
    async with door.work() as unit:
        return await read_deployment(unit, body.task_id)


class Yaml(Response):
    """A document for `kubectl apply`."""

    media_type = "application/yaml"


@routes.get(
    "/{name}/versions/{version}/manifest",
    response_class=Yaml,
    responses={200: {"content": {Yaml.media_type: {"schema": {"type": "object"}}}}},
)
async def get_manifest(
    _: Viewer,
    door: Door,
    name: InPath,
    version: Version,
    replicas: Annotated[int, Query(ge=1, le=1000, description="pods that answer for it")] = 1,
) -> Yaml:
    """A List of a Deployment and a Service that serve a whole model on Kubernetes; nobody here applies it."""
    async with door.work() as unit:
        return Yaml(await read_manifest(unit, VariantId(name, version), door.cluster, replicas=replicas))


def _order(body: PromotionRequest, *, by: str) -> Order:
    return Order(task_id=body.task_id, revision=body.revision, reason=body.reason, by=by)

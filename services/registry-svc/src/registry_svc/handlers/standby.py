"""A person has a version loaded beside the champion, for questions by its name, or takes it away again."""

from loopwright.errors import Conflict
from registry_svc.domain.deployments import check_revision
from registry_svc.domain.deprecations import check_may_serve
from registry_svc.domain.models import VariantId
from registry_svc.handlers.deployments import change_deployment, withdraw_candidate
from registry_svc.handlers.promotions import Order, prepare
from registry_svc.handlers.room import Means
from registry_svc.store.deployments import get_deployment
from registry_svc.store.models import get_model


async def deploy(variant: VariantId, order: Order, means: Means) -> None:
    """Loads a version on every server of its base model, has each answer for it, and says so.

    Raises:
        NotFound: there is no such version or deployment.
        Conflict: the deployment changed meanwhile, the version cannot serve the task, or a server is full.
        ServingUnavailable: a vLLM server does not answer, or room is being made for the version.
    """
    backend_urls = await prepare(variant, order, means)
    async with means.work() as unit:
        deployment = await get_deployment(unit.session, order.task_id, lock=True)
        check_revision(deployment, order.revision)
        model = await get_model(unit.session, variant)
        check_may_serve(str(variant), model.training_data_deprecated)
        if variant in deployment.candidates:
            return  # it was deployed, and has just answered again
        deployed = deployment.with_candidate(variant, backend_urls)
        await change_deployment(deployed, unit, reason=order.reason, by=order.by)


async def undeploy(variant: VariantId, order: Order, means: Means) -> None:
    """Takes a version out of a task's deployment; its adapter leaves the servers once the router asks for it no more.

    Raises:
        NotFound: there is no such version or deployment.
        Conflict: the deployment changed meanwhile, or the version is in charge, or is not deployed.
    """
    async with means.work() as unit:
        await get_model(unit.session, variant)
        deployment = await get_deployment(unit.session, order.task_id, lock=True)
        check_revision(deployment, order.revision)
        if deployment.champion == variant:
            raise Conflict("deployment.in-charge", f"{variant} is in charge of {order.task_id}: promote another first")
        if variant not in deployment.candidates:
            raise Conflict("deployment.not-deployed", f"{variant} is not deployed for {order.task_id}")
        await withdraw_candidate(deployment, variant, unit, reason=order.reason, by=order.by)

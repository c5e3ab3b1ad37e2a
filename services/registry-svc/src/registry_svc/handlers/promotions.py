"""A person puts a version in charge, or the one before it back."""

from dataclasses import dataclass

from loopwright.errors import Conflict
from loopwright.unit_of_work import Work, WorkFactory
from registry_svc.adapters.serving import Serving
from registry_svc.domain.deployments import check_revision, previous_champion
from registry_svc.domain.deprecations import check_may_serve
from registry_svc.domain.models import ModelVersion, VariantId
from registry_svc.handlers.deployments import put_in_charge
from registry_svc.store.deployments import get_deployment, list_changes
from registry_svc.store.models import get_model
from registry_svc.store.tasks import get_task


@dataclass(frozen=True, kw_only=True)
class Order:
    """What a person asks for.

    Attributes:
        revision: Of the deployment as they saw it; the order is refused if it changed since.
    """

    task_id: str
    revision: int
    reason: str
    by: str


async def promote(variant: VariantId, order: Order, *, work: WorkFactory, serving: Serving) -> None:
    """Puts a version in charge of a task, loading it first where it is not loaded.

    Raises:
        NotFound: there is no such version or deployment.
        Conflict: the deployment changed meanwhile, or the version cannot serve the task, or its data was erased.
        ServingUnavailable: a vLLM server does not answer.
    """
    async with work() as unit:
        model = await _check_order(variant, order, unit)
    # outside any transaction: loading takes as long as it takes
    backend_urls = await serving.ensure_served(model)
    async with work() as unit:
        deployment = await get_deployment(unit.session, order.task_id, lock=True)
        check_revision(deployment, order.revision)
        model = await get_model(unit.session, variant)
        check_may_serve(str(variant), model.training_data_deprecated)
        promoted = deployment.with_champion(variant, backend_urls)
        await put_in_charge(deployment, promoted, unit, reason=order.reason, by=order.by)


async def roll_back(order: Order, *, work: WorkFactory, serving: Serving) -> None:
    """Puts the variant back in charge that was in charge before the current one.

    Raises:
        NotFound: nothing serves the task.
        Conflict: the deployment changed meanwhile, or there never was another champion.
        ServingUnavailable: a vLLM server does not answer.
    """
    async with work() as unit:
        deployment = await get_deployment(unit.session, order.task_id)
        check_revision(deployment, order.revision)
        previous = previous_champion(await list_changes(unit.session, order.task_id), deployment.champion)
    await promote(previous, order, work=work, serving=serving)


async def _check_order(variant: VariantId, order: Order, unit: Work) -> ModelVersion:
    deployment = await get_deployment(unit.session, order.task_id)
    check_revision(deployment, order.revision)
    model = await get_model(unit.session, variant)
    task = await get_task(unit.session, order.task_id)
    if deployment.champion == variant:
        raise Conflict("deployment.already-in-charge", f"{variant} is in charge of {order.task_id} already")
    if model.base_model != task.pack.base_model or model.task_id not in {None, order.task_id}:
        raise Conflict("deployment.foreign-model", f"{variant} was not made for the task {order.task_id}")
    check_may_serve(str(variant), model.training_data_deprecated)
    return model

"""A version is put in charge, or an earlier one back: by a person, or by registry-svc after harm."""

from dataclasses import dataclass

from loopwright.errors import Conflict
from loopwright.unit_of_work import Work
from registry_svc.domain.deployments import Deployment, check_revision, earlier_champion, previous_champion
from registry_svc.domain.deprecations import check_may_serve
from registry_svc.domain.models import ModelVersion, VariantId
from registry_svc.handlers.deployments import put_in_charge
from registry_svc.handlers.room import Means, bring_up, hold_adapter
from registry_svc.handlers.watches import begin_watch, end_watch
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


async def promote(variant: VariantId, order: Order, means: Means) -> None:
    """Puts a version in charge of a task, loading it first where it is not loaded; it is watched from then on.

    Raises:
        NotFound: there is no such version or deployment.
        Conflict: the deployment changed meanwhile, or the version cannot serve the task, or its data was erased.
        ServingUnavailable: a vLLM server does not answer, or room is being made for the version.
    """
    backend_urls = await prepare(variant, order, means)
    async with means.work() as unit:
        before = await take_charge(variant, order, unit, backend_urls=backend_urls)
        await begin_watch(order.task_id, unit, champion=variant, revision=before.revision + 1)


async def roll_back(order: Order, means: Means, *, to: VariantId | None = None) -> None:
    """Puts an earlier champion back in charge.

    Args:
        to: None for the one before the current one.

    Raises:
        NotFound: nothing serves the task.
        Conflict: the deployment changed meanwhile, or there is no such earlier champion.
        ServingUnavailable: a vLLM server does not answer, or room is being made for the version.
    """
    async with means.work() as unit:
        target = await rollback_target(order, unit, to=to)
    backend_urls = await prepare(target, order, means)
    async with means.work() as unit:
        await take_charge(target, order, unit, backend_urls=backend_urls)
        await end_watch(order.task_id, unit, reason=f"rolled back to {target} by {order.by}")


async def rollback_target(order: Order, work: Work, *, to: VariantId | None) -> VariantId:
    """Whom a rollback puts in charge.

    Raises:
        As `roll_back`.
    """
    deployment = await get_deployment(work.session, order.task_id)
    check_revision(deployment, order.revision)
    history = await list_changes(work.session, order.task_id)
    return previous_champion(history, deployment.champion) if to is None else earlier_champion(history, to)


async def prepare(variant: VariantId, order: Order, means: Means) -> tuple[str, ...]:
    """Checks an order, and has every server answer for the version: outside of any transaction, as long as it takes.

    Raises:
        As `promote`.
    """
    async with means.work() as unit:
        model = await check_order(variant, order, unit)
        await hold_adapter(variant, unit)
    return await bring_up(model, means)


async def take_charge(variant: VariantId, order: Order, work: Work, *, backend_urls: tuple[str, ...]) -> Deployment:
    """Makes a version that answers the champion, if everything is still as the order saw it.

    Returns:
        The deployment as it was.

    Raises:
        Conflict: the deployment changed meanwhile, or the data of the version was erased.
    """
    deployment = await get_deployment(work.session, order.task_id, lock=True)
    check_revision(deployment, order.revision)
    model = await get_model(work.session, variant)
    check_may_serve(str(variant), model.training_data_deprecated)
    promoted = deployment.with_champion(variant, backend_urls)
    await put_in_charge(deployment, promoted, work, reason=order.reason, by=order.by)
    return deployment


async def check_order(variant: VariantId, order: Order, work: Work) -> ModelVersion:
    """Checks that a version may serve the task of an order.

    Raises:
        NotFound: there is no such version or deployment.
        Conflict: the deployment changed, or the version is in charge already, or was not made for the task.
    """
    deployment = await get_deployment(work.session, order.task_id)
    check_revision(deployment, order.revision)
    model = await get_model(work.session, variant)
    task = await get_task(work.session, order.task_id)
    if deployment.champion == variant:
        raise Conflict("deployment.already-in-charge", f"{variant} is in charge of {order.task_id} already")
    if model.base_model != task.pack.base_model or model.task_id not in {None, order.task_id}:
        raise Conflict("deployment.foreign-model", f"{variant} was not made for the task {order.task_id}")
    check_may_serve(str(variant), model.training_data_deprecated)
    return model

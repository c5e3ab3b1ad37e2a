"""The rollback of a champion that does harm, without a person."""

from loopwright.contracts.records import Severity
from loopwright.errors import Conflict
from registry_svc.domain.models import VariantId
from registry_svc.handlers.deployments import SERVICE
from registry_svc.handlers.promotions import Order, prepare, rollback_target, take_charge
from registry_svc.handlers.room import Means
from registry_svc.handlers.watches import ROLLED_BACK, STUCK, end_watch, raise_alert
from registry_svc.store.deployments import get_deployment
from registry_svc.store.watches import Watch


async def take_back(watch: Watch, means: Means) -> VariantId:
    """Puts the champion before back in charge, ends the watch and calls a person, all at once.

    Raises:
        Conflict: there is no earlier champion that may serve, or the deployment changed at this moment.
        ServingUnavailable: a server does not answer, or room is being made.
    """
    async with means.work() as unit:
        deployment = await get_deployment(unit.session, watch.task_id)
        if deployment.champion != watch.champion:
            raise Conflict("deployment.changed-meanwhile", f"{deployment.champion} is in charge by now")
        order = Order(task_id=watch.task_id, revision=deployment.revision, reason=watch.reason, by=SERVICE)
        target = await rollback_target(order, unit, to=None)
    backend_urls = await prepare(target, order, means)
    async with means.work() as unit:
        await take_charge(target, order, unit, backend_urls=backend_urls)
        await end_watch(watch.task_id, unit, reason=f"rolled back to {target}: {watch.reason}")
        detail = f"{target} is back in charge of {watch.task_id}: {watch.reason}"
        raise_alert(unit, kind=ROLLED_BACK, severity=Severity.CRITICAL, task_id=watch.task_id, detail=detail)
    return target


async def give_up_on(watch: Watch, means: Means, *, reason: str) -> None:
    """Calls a person where nothing can be rolled back to."""
    async with means.work() as unit:
        deployment = await get_deployment(unit.session, watch.task_id, lock=True)
        if deployment.champion != watch.champion:
            return
        await end_watch(watch.task_id, unit, reason=f"cannot be rolled back: {reason}")
        detail = f"{watch.champion} does harm and cannot be rolled back: {watch.reason}; {reason}"
        raise_alert(unit, kind=STUCK, severity=Severity.CRITICAL, task_id=watch.task_id, detail=detail)

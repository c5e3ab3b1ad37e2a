"""Writes the log of uses: in the transaction of what it speaks of, so that neither exists without the other."""

from dataclasses import replace
from datetime import UTC, datetime

from loopwright.unit_of_work import Work
from registry_svc.domain.deployments import Deployment
from registry_svc.domain.models import ModelStatus, VariantId, check_status_change
from registry_svc.domain.uses import Use, UseKind, uses_of_change
from registry_svc.store.models import get_model, save_status
from registry_svc.store.uses import add_uses, list_champions_so_far


async def log_use(variant: VariantId, work: Work, kind: UseKind, *, reason: str, by: str) -> None:
    """Adds one line about a version."""
    await add_uses(work.session, [Use(variant=variant, kind=kind, reason=reason, by=by, at=datetime.now(UTC))])


async def log_deployment_change(before: Deployment | None, after: Deployment, work: Work) -> None:
    """Adds what a change of a deployment was for each version in it; call it before the change is saved."""
    champions = await list_champions_so_far(work.session, after.task_id)
    await add_uses(work.session, uses_of_change(before, after, champions))


async def change_status(variant: VariantId, work: Work, status: ModelStatus, *, reason: str, by: str) -> None:
    """Moves a version to a status; the reconciler moves the MLflow aliases after it.

    Raises:
        Conflict: the status cannot follow from the current one.
    """
    model = await get_model(work.session, variant, lock=True)
    check_status_change(variant, model.status, status)
    if model.status is status:
        return
    now = datetime.now(UTC)
    await save_status(work.session, replace(model, status=status, updated_at=now, status_changed_at=now))
    use = Use(variant=variant, kind=UseKind.STATUS_CHANGED, reason=reason, by=by, at=now, status=status)
    await add_uses(work.session, [use])

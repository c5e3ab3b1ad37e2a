"""A dataset version must not be learned from any more: its models are marked, and candidates on erased data taken away."""

import uuid
from datetime import UTC, datetime

import structlog

from loopwright.contracts.datasets import DatasetDeprecated, DeprecationReason
from loopwright.contracts.records import AlertRaised, Severity
from loopwright.unit_of_work import Work
from registry_svc.domain.deployments import Deployment
from registry_svc.domain.deprecations import deprecation_of, outweighs, why_not_served
from registry_svc.domain.models import ModelVersion
from registry_svc.domain.releases import WORKED_ON, ReleaseState
from registry_svc.handlers.deployments import archive_if_unused, dismiss_candidate, end_release
from registry_svc.store.answers import forget_texts
from registry_svc.store.deployments import find_deployment
from registry_svc.store.deprecations import find_deprecation, keep_deprecation, lock_deprecations
from registry_svc.store.models import list_models_of_data, mark_models_of_data
from registry_svc.store.releases import find_release_of

_log = structlog.get_logger()
ERASED = "model.training-data-erased"


async def deprecate_data(event: DatasetDeprecated, work: Work) -> None:
    """Marks every model of a dataset version; what is not registered yet will find the mark when it is.

    A candidate whose data was erased leaves its deployment. A champion stays, for users must be answered, and a person
    is called. What evaluations kept of erased cases goes; their figures stay.
    """
    session, version_id, deprecation = work.session, event.version_id, deprecation_of(event)
    if event.reason is DeprecationReason.ERASURE:
        await forget_texts(session, event.held_out_sha256)
    await lock_deprecations(session)
    if not outweighs(deprecation, await find_deprecation(session, version_id)):
        return
    await keep_deprecation(session, version_id, deprecation)
    models = await list_models_of_data(session, version_id)
    # deployments before models, as everywhere: whoever deploys one of them now has done so, or will see its mark
    tasks = sorted({model.task_id for model in models if model.task_id is not None})
    locked = [await find_deployment(session, task_id, lock=True) for task_id in tasks]
    await mark_models_of_data(session, version_id, deprecation)
    for model in models:
        refusal = why_not_served(str(model.variant), deprecation)
        _log.warning("model.data-deprecated", variant=str(model.variant), version_id=version_id, reason=deprecation.reason)  # fmt: skip
        if refusal is not None:
            await _withdraw(model, [one for one in locked if one is not None], work, reason=refusal)


async def _withdraw(model: ModelVersion, deployments: list[Deployment], work: Work, *, reason: str) -> None:
    await _end_release_of(model, work, reason=reason)
    in_charge_of = [one.task_id for one in deployments if one.champion == model.variant]
    for deployment in deployments:
        if model.variant in deployment.candidates:
            current = await find_deployment(work.session, deployment.task_id) or deployment
            await dismiss_candidate(current, model.variant, work, reason=reason)
    for task_id in in_charge_of:
        _call_somebody(model, task_id, work, reason=reason)
    if not in_charge_of:
        await archive_if_unused(model.variant, work)


async def _end_release_of(model: ModelVersion, work: Work, *, reason: str) -> None:
    release = await find_release_of(work.session, model.variant, lock=True)
    if release is None:
        return
    if release.state in WORKED_ON:
        await end_release(model.variant, work, ReleaseState.FAILED, reason=reason)
    elif release.state is ReleaseState.ON_TRIAL:
        await end_release(model.variant, work, ReleaseState.RETIRED, reason=reason)


def _call_somebody(model: ModelVersion, task_id: str, work: Work, *, reason: str) -> None:
    _log.error("champion.data-erased", variant=str(model.variant), task_id=task_id, reason=reason)
    work.announce(
        AlertRaised(
            alert_id=f"{ERASED}:{uuid.uuid4()}",
            severity=Severity.CRITICAL,
            kind=ERASED,
            task_id=task_id,
            detail=f"{reason}. It stays in charge of {task_id} until somebody promotes or trains another version",
            raised_at=datetime.now(UTC),
        )
    )

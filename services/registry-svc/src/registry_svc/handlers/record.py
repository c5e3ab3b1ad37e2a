"""What our rows say that MLflow should say too, and what becomes of the differences."""

from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from loopwright.unit_of_work import Work
from registry_svc.adapters.mlflow import TrackedVersion
from registry_svc.domain.agreement import Finding
from registry_svc.domain.models import ModelVersion, VariantId
from registry_svc.domain.uses import UseKind
from registry_svc.handlers.deployments import SERVICE
from registry_svc.handlers.uses import log_use
from registry_svc.store.cards import save_logged
from registry_svc.store.findings import keep_findings, list_findings
from registry_svc.store.models import get_model, list_all_models, save_tracking
from registry_svc.store.registrations import list_waiting
from registry_svc.store.releases import list_received

_log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class Known:
    """Our side.

    Attributes:
        pending: Subjects that may be in MLflow already and are not among the versions yet.
    """

    models: tuple[ModelVersion, ...]
    pending: frozenset[str]


async def what_we_know(work: Work, *, base_models: frozenset[str]) -> Known:
    """All versions, and all that is about to become one.

    Args:
        base_models: Names that may be registered at any moment.
    """
    # pending first: what becomes a version meanwhile is then in one of the two, never in neither
    releases = {f"job:{release.job_id}" for release in await list_received(work.session)}
    offered = {one.subject for one in await list_waiting(work.session)}
    pending = releases | offered | {f"base:{name}" for name in base_models}
    return Known(models=tuple(await list_all_models(work.session)), pending=frozenset(pending))


async def track_again(variant: VariantId, work: Work, *, tracked: TrackedVersion) -> None:
    """Points a version whose number MLflow lost at the one that it has now."""
    model = await get_model(work.session, variant, lock=True)
    if model.mlflow_version == tracked.version and model.mlflow_run_id == tracked.run_id:
        return
    await save_tracking(work.session, variant, mlflow_version=tracked.version, mlflow_run_id=tracked.run_id)
    reason = f"MLflow had no {model.mlflow_uri} of {model.subject} any more; it is its version {tracked.version} now"
    await log_use(variant, work, UseKind.TRACKED_AGAIN, reason=reason, by=SERVICE)
    _log.warning("mlflow.version-registered-again", variant=str(variant), reason=reason)


async def record_findings(findings: tuple[Finding, ...], work: Work) -> None:
    """Keeps what MLflow knows and we do not, for people; new ones are said once."""
    before = frozenset(await list_findings(work.session))
    if before == frozenset(findings):
        return
    for found in sorted(frozenset(findings) - before):
        _log.warning(
            "mlflow.version-unknown", model=found.model_name, version=found.mlflow_version, kind=found.kind,
            reason=found.detail,
        )  # fmt: skip
    await keep_findings(work.session, findings, datetime.now(UTC))


async def keep_card_logged(variant: VariantId, work: Work, *, as_of: datetime) -> None:
    """Remembers that MLflow has the card of a moment."""
    await save_logged(work.session, variant, as_of)

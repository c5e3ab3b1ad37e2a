"""Artefacts that were refused: every version with such files gets a line in its log, and a person is called."""

import uuid
from datetime import UTC, datetime

import structlog

from loopwright.contracts.base import Artifact
from loopwright.contracts.records import AlertRaised, Severity
from loopwright.errors import PlatformError
from loopwright.unit_of_work import WorkFactory
from registry_svc.adapters.adapter_files import Alarm
from registry_svc.domain.uses import UseKind
from registry_svc.handlers.deployments import SERVICE
from registry_svc.handlers.uses import log_use
from registry_svc.store.models import list_models_of_files

_log = structlog.get_logger()
REFUSED = "model.artefact-refused"


def alarm(work: WorkFactory) -> Alarm:
    """What is told of refusals, in a transaction of its own: the one that asked for the files ends without effect."""

    async def raise_alarm(artifact: Artifact, refused: PlatformError) -> None:
        detail = f"{refused.detail} (files sha256 {artifact.sha256[:16]}…, {refused.code})"
        _log.error(REFUSED, sha256=artifact.sha256, code=refused.code, reason=refused.detail)
        async with work() as unit:
            models = await list_models_of_files(unit.session, artifact.sha256)
            for model in models:
                await log_use(model.variant, unit, UseKind.REFUSED, reason=detail, by=SERVICE)
            unit.announce(
                AlertRaised(
                    alert_id=f"{REFUSED}:{uuid.uuid4()}", severity=Severity.CRITICAL, kind=REFUSED,
                    task_id=next((model.task_id for model in models), None), detail=detail,
                    raised_at=datetime.now(UTC),
                )
            )  # fmt: skip

    return raise_alarm

"""Makes files that somebody offered, or that a job made, versions of a model: fetched, verified, known to MLflow."""

import structlog

from loopwright.errors import ContractError, DependencyError, RuleRefused
from loopwright.unit_of_work import WorkFactory
from registry_svc.adapters.adapter_files import AdapterFiles
from registry_svc.adapters.mlflow import MlflowRegistry
from registry_svc.adapters.verification import Claim
from registry_svc.domain.registrations import Registration
from registry_svc.handlers.registrations import (
    complete_registration,
    next_due_registration,
    postpone_registration,
    refuse_registration,
)
from registry_svc.jobs.describing import describe

_log = structlog.get_logger()


class Registrar:
    """Works on whichever registration is due. A crash repeats work, never effects."""

    def __init__(self, work: WorkFactory, *, mlflow: MlflowRegistry, files: AdapterFiles) -> None:
        self._work = work
        self._mlflow = mlflow
        self._files = files

    async def step(self) -> bool:
        """Registers one; True if one was due."""
        async with self._work() as unit:
            due = await next_due_registration(unit)
        if due is None:
            return False
        try:
            await self._register(due)
            _log.info("registration.done", registration_id=due.registration_id, model=due.model_name)
        except DependencyError as error:
            async with self._work() as unit:
                await postpone_registration(due.registration_id, unit, reason=error.detail)
        except (ContractError, RuleRefused) as error:
            _log.error("registration.refused", registration_id=due.registration_id, reason=error.detail)
            async with self._work() as unit:
                await refuse_registration(due.registration_id, unit, reason=error.detail)
        return True

    async def _register(self, due: Registration) -> None:
        claim = Claim(job_id=due.job_id, base_model=due.base_model)
        files = await self._files.ensure(due.artifact, claim, model_format=due.format)
        tracked = await self._mlflow.register(describe(due.origin, files))
        async with self._work() as unit:
            await complete_registration(due.registration_id, unit, tracked=tracked, files=files)

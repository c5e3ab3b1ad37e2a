"""Keeps MLflow and our rows in agreement, whatever either of them lost; at the start and on a schedule."""

from pathlib import Path

import structlog

from loopwright.errors import ContractError, RuleRefused, StoreUnavailable
from loopwright.unit_of_work import WorkFactory
from registry_svc.adapters.adapter_files import AdapterFiles, Files
from registry_svc.adapters.mlflow import Card, MlflowRegistry, TrackedVersion
from registry_svc.adapters.verification import Claim
from registry_svc.domain.agreement import STATUS_TAG, UNKNOWN_TAG, AliasMove, Disagreement, compare
from registry_svc.domain.models import ModelVersion
from registry_svc.handlers.record import keep_card_logged, record_findings, track_again, what_we_know
from registry_svc.jobs.describing import describe, origin_of
from registry_svc.queries.cards import StaleCard, list_stale_cards

_log = structlog.get_logger()
_CARDS_AT_ONCE = 10


class MlflowReconciler:
    """Makes MLflow say what our rows say. What only MLflow knows is marked and reported, never deleted.

    Args:
        base_models: Folders of base models by name.
    """

    def __init__(
        self, work: WorkFactory, *, mlflow: MlflowRegistry, files: AdapterFiles, base_models: dict[str, Path]
    ) -> None:
        self._work = work
        self._mlflow = mlflow
        self._files = files
        self._base_models = base_models

    async def step(self) -> bool:
        """Compares everything once; True if numbers changed, so that aliases must be looked at again.

        Raises:
            TrackingUnavailable: MLflow does not answer.
        """
        found = await self.differences()
        again = [await self._register_again(model) for model in found.vanished]
        await self._align(found)
        async with self._work() as unit:
            await record_findings(found.findings, unit)
        await self._log_cards()
        return any(again)

    async def differences(self) -> Disagreement:
        """How MLflow and our rows differ now.

        Raises:
            TrackingUnavailable: MLflow does not answer.
        """
        # MLflow first: whatever is registered meanwhile is known to our rows, or pending there
        tracked = await self._mlflow.everything()
        async with self._work() as unit:
            known = await what_we_know(unit, base_models=frozenset(self._base_models))
        return compare(known.models, tracked, pending=known.pending)

    async def _register_again(self, model: ModelVersion) -> bool:
        """Whether it could be done."""
        try:
            files = await self._files_of(model)
        except (ContractError, RuleRefused, StoreUnavailable) as error:
            # the others must not wait for it; its files are what a person must look at
            _log.error("mlflow.version-lost", variant=str(model.variant), reason=error.detail)
            return False
        base_folder = self._base_models.get(model.base_model)
        tracked = await self._mlflow.register(describe(origin_of(model), files, base_folder=base_folder))
        async with self._work() as unit:
            await track_again(model.variant, unit, tracked=tracked)
        return True

    async def _files_of(self, model: ModelVersion) -> Files | None:
        if model.artifact is None:
            return None
        claim = Claim(job_id=model.job_id, base_model=model.base_model)
        return await self._files.ensure(model.artifact, claim, model_format=model.format)

    async def _align(self, found: Disagreement) -> None:
        for move in found.alias_moves:
            await self._move(move)
        for (name, version), status in found.statuses.items():
            await self._mlflow.set_tag(name, STATUS_TAG, str(status), version=version)
        for unknown in found.mark:
            told = f"{unknown.kind}: {unknown.detail}"
            await self._mlflow.set_tag(unknown.model_name, UNKNOWN_TAG, told, version=unknown.mlflow_version)
        for one in found.unmark:
            await self._mlflow.delete_tag(one.name, UNKNOWN_TAG, version=one.version)

    async def _move(self, move: AliasMove) -> None:
        if move.version is None:
            await self._mlflow.delete_alias(move.model_name, move.alias)
        else:
            await self._mlflow.set_alias(move.model_name, move.alias, version=move.version)
        _log.info("alias.moved", model=move.model_name, alias=move.alias, version=move.version)

    async def _log_cards(self) -> None:
        async with self._work() as unit:
            stale = await list_stale_cards(unit, most=_CARDS_AT_ONCE)
        for one in stale:
            await self._log_card(one)

    async def _log_card(self, stale: StaleCard) -> None:
        tracked = TrackedVersion(version=stale.model.mlflow_version, run_id=stale.model.mlflow_run_id)
        card = Card(markdown=stale.markdown, json=stale.card.model_dump_json(indent=1))
        await self._mlflow.log_card(stale.model.variant.model_name, tracked, card)
        async with self._work() as unit:
            await keep_card_logged(stale.model.variant, unit, as_of=stale.seen_at)

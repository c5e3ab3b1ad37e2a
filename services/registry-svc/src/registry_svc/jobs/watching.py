"""Watches champions that were just put in charge, by the router's own figures, and takes harmful ones back."""

from datetime import UTC, datetime

import structlog

from loopwright.contracts.tasks import GuardrailPolicy
from loopwright.errors import ContractError, RuleRefused, ServingUnavailable
from registry_svc.domain.guardrails import why_harmful
from registry_svc.handlers.room import Means
from registry_svc.handlers.taking_back import give_up_on, take_back
from registry_svc.handlers.watches import end_watch, keep_baseline, mark_harmful, open_watches
from registry_svc.store.watches import Watch, WatchState

_log = structlog.get_logger()


class PromotionWatcher:
    """Looks at every open watch once a step."""

    def __init__(self, means: Means) -> None:
        self._means = means

    async def step(self) -> bool:
        """One look. A router or server that does not answer is asked again at the next one."""
        async with self._means.work() as unit:
            watches = await open_watches(unit)
        for watch, policy in watches:
            try:
                await self._look(watch, policy)
            except ServingUnavailable as error:
                _log.info("watch.waits", task_id=watch.task_id, reason=error.detail)
        return False

    async def _look(self, watch: Watch, policy: GuardrailPolicy) -> None:
        if watch.state is WatchState.HARMFUL:
            await self._take_back(watch)
            return
        figures = await self._means.figures.of(watch.task_id, str(watch.champion))
        if watch.baseline is None:
            async with self._means.work() as unit:
                await keep_baseline(watch, figures, unit)
            return
        since = figures.since(watch.baseline)
        harm = why_harmful(policy, since)
        async with self._means.work() as unit:
            if harm is not None:
                _log.error("promotion.harmful", task_id=watch.task_id, champion=str(watch.champion), reason=harm)
                await mark_harmful(
                    watch, unit, reason=f"{watch.champion} broke a guardrail after its promotion: {harm}"
                )
            elif datetime.now(UTC) >= watch.ends_at:
                said = f"{since.answered} requests answered, {since.failed} failed: nothing speaks against it"
                await end_watch(watch.task_id, unit, reason=said)

    async def _take_back(self, watch: Watch) -> None:
        try:
            target = await take_back(watch, self._means)
            _log.warning("promotion.taken-back", task_id=watch.task_id, champion=str(target), reason=watch.reason)
        except (RuleRefused, ContractError) as error:
            _log.error("promotion.not-taken-back", task_id=watch.task_id, reason=error.detail)
            if error.code != "deployment.changed-meanwhile":  # then the next look decides on what it became
                await give_up_on(watch, self._means, reason=error.detail)

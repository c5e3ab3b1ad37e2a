"""The study loop: asks for the next settings, has bad trials stopped; all that it knows lies in rows.

Any number of replicas may run it. What it decides is written under the lock of the study's row, and only while the
study is as it was when the decision was asked for: a trial begins once, whoever asks and whenever it is killed.
"""

import asyncio

import structlog

from loopwright.errors import DependencyError
from loopwright.repeating import repeat
from loopwright.unit_of_work import PostgresWork
from trainer_svc.adapters.optuna_search import first_prunable, propose
from trainer_svc.handlers.trials import Standing, begin_trial, break_off, keep_verdicts, take_stock
from trainer_svc.store.studies import list_due

_log = structlog.get_logger()


class StudyLoop:
    """Leads every study of the service from its first trial to its end."""

    def __init__(self, work: PostgresWork) -> None:
        self._work = work

    async def run(self) -> None:
        """Works until cancelled; nothing is lost by that."""
        await repeat(self.step, name="studies")

    async def step(self) -> bool:
        """Brings each study on by one decision; True if there was any."""
        async with self._work() as unit:
            due = await list_due(unit.session)
        moved = False
        for study_id in due:
            try:
                moved |= await self._lead(study_id)
            except DependencyError:
                raise
            except Exception as error:  # noqa: BLE001 - one study must not end the others
                _log.exception("study.broke-off", study_id=study_id, exc_info=error)
                async with self._work() as unit:
                    await break_off(unit, study_id, reason=f"the search cannot go on: {type(error).__name__}: {error}")
        return moved

    async def _lead(self, study_id: str) -> bool:
        async with self._work() as unit:
            standing = await take_stock(unit, study_id)
        if standing.has_unjudged:
            await self._judge(standing)
        return await self._begin(standing) or standing.moved

    async def _judge(self, standing: Standing) -> None:
        # threads: a hundred trials take Optuna tenths of a second, in which others should be served
        stops = await asyncio.to_thread(first_prunable, standing.study, standing.trials)
        async with self._work() as unit:
            await keep_verdicts(unit, standing, stops)
        for number in stops:
            _log.info("trial.pruned", study_id=standing.study.study_id, trial=number)

    async def _begin(self, standing: Standing) -> bool:
        if not standing.has_room:
            return False
        settings = await asyncio.to_thread(propose, standing.study, standing.trials)
        async with self._work() as unit:
            begun = await begin_trial(unit, standing, settings)
        if begun:
            _log.info("trial.begun", study_id=standing.study.study_id, trial=len(standing.trials))
        return begun

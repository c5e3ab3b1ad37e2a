"""Asks champion and candidate the same held-out cases through the door that users have, and lets the gate judge."""

import asyncio

import structlog

from loopwright.errors import InvalidPayload
from loopwright.storage import Storage
from loopwright.unit_of_work import WorkFactory
from registry_svc.domain.gate import Verdict, cannot_be_judged, judge
from registry_svc.domain.metrics.measuring import Measurements
from registry_svc.domain.releases import Release
from registry_svc.domain.scoring import read_cases
from registry_svc.handlers.evaluations import OpenEvaluation, conclude_evaluation, open_evaluation
from registry_svc.jobs.examining import Examiner

_log = structlog.get_logger()


class Evaluator:
    """Evaluates loaded candidates."""

    def __init__(self, work: WorkFactory, *, storage: Storage, examiner: Examiner) -> None:
        self._work = work
        self._storage = storage
        self._examiner = examiner

    async def evaluate(self, release: Release) -> None:
        """Brings the evaluation of a candidate to its verdict; answers that are there are not asked for again.

        Raises:
            DependencyError: somebody who must answer does not; what was answered is kept.
        """
        async with self._work() as unit:
            opened = await open_evaluation(release, unit)
        verdict, metrics = await self._judge(release, opened)
        async with self._work() as unit:
            await conclude_evaluation(opened.evaluation, verdict, unit, metrics=metrics)
        _log.info(
            "evaluation.finished", evaluation_id=opened.evaluation.evaluation_id, passed=verdict.passed,
            reasons=list(verdict.reasons),
        )  # fmt: skip

    async def _judge(self, release: Release, opened: OpenEvaluation) -> tuple[Verdict, Measurements | None]:
        try:
            cases = read_cases(await self._storage.read_bytes(release.training_data.held_out.artifact))
        except InvalidPayload as error:
            return cannot_be_judged(error.detail), None
        examined = await self._examiner.examine(opened, cases)
        pack = opened.task.pack
        verdict = await asyncio.to_thread(
            judge,
            pack.gate,
            candidate=examined.candidate,
            champion=examined.champion,
            answer_field=pack.answer_field,
            evidence=examined.evidence,
        )
        return verdict, await self._examiner.measure(opened, examined)

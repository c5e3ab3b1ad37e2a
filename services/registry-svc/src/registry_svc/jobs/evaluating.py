"""Asks champion and candidate the same held-out cases through the door that users have, and lets the gate judge."""

import asyncio

import structlog

from loopwright.errors import DependencyError, InvalidPayload
from loopwright.storage import Storage
from loopwright.unit_of_work import WorkFactory
from registry_svc.adapters.router import RouterDoor
from registry_svc.domain.gate import Verdict, cannot_be_judged, judge
from registry_svc.domain.models import VariantId
from registry_svc.domain.releases import Release
from registry_svc.domain.scoring import CaseAnswer, HeldOutCase, Score, read_cases, score_answer
from registry_svc.handlers.evaluations import (
    OpenEvaluation,
    answers_so_far,
    conclude_evaluation,
    keep_answer,
    open_evaluation,
)

_log = structlog.get_logger()
_Question = tuple[HeldOutCase, VariantId]


class Evaluator:
    """Evaluates loaded candidates.

    Args:
        concurrency: Questions that are out at the same time.
    """

    def __init__(self, work: WorkFactory, *, storage: Storage, router: RouterDoor, concurrency: int) -> None:
        self._work = work
        self._storage = storage
        self._router = router
        self._concurrency = concurrency

    async def evaluate(self, release: Release) -> None:
        """Brings the evaluation of a candidate to its verdict; answers that are there are not asked for again.

        Raises:
            DependencyError: somebody who must answer does not; what was answered is kept.
        """
        async with self._work() as unit:
            opened = await open_evaluation(release, unit)
        verdict = await self._judge(release, opened)
        async with self._work() as unit:
            await conclude_evaluation(opened.evaluation, verdict, unit)
        _log.info(
            "evaluation.finished", evaluation_id=opened.evaluation.evaluation_id, passed=verdict.passed,
            reasons=list(verdict.reasons),
        )  # fmt: skip

    async def _judge(self, release: Release, opened: OpenEvaluation) -> Verdict:
        evaluation = opened.evaluation
        try:
            cases = read_cases(await self._storage.read_bytes(release.training_data.held_out.artifact))
        except InvalidPayload as error:
            return cannot_be_judged(error.detail)
        pair = (evaluation.champion, evaluation.candidate)
        await self._router.require(*(f"{evaluation.task_id}@{variant}" for variant in pair))
        answered = {(answer.variant_id, answer.number) for answer in opened.answers}
        # both variants of a case are asked side by side, so that neither meets a busier server
        open_questions = [
            (case, variant) for case in cases for variant in pair if (str(variant), case.number) not in answered
        ]
        await self._ask_all(opened, open_questions)
        async with self._work() as unit:
            answers = await answers_so_far(evaluation.evaluation_id, unit)
        of_champion, of_candidate = (
            [answer for answer in answers if answer.variant_id == str(variant)] for variant in pair
        )
        return judge(opened.task.pack.gate, candidate=of_candidate, champion=of_champion)

    async def _ask_all(self, opened: OpenEvaluation, questions: list[_Question]) -> None:
        todo = iter(questions)
        failures: list[DependencyError] = []

        async def worker() -> None:
            for case, variant in todo:
                if failures:
                    return  # those who are asking now may still bring their answers home
                try:
                    await self._ask(opened, case, variant)
                except DependencyError as error:
                    failures.append(error)

        await asyncio.gather(*(worker() for _ in range(min(self._concurrency, len(questions)))))
        if failures:
            raise failures[0]

    async def _ask(self, opened: OpenEvaluation, case: HeldOutCase, variant: VariantId) -> None:
        pack = opened.task.pack
        given = await self._router.ask(pack.task_id, str(variant), case.input, temperature=pack.generation.temperature)
        score = (
            Score(correct=False, schema_valid=False)
            if given.text is None
            else score_answer(given.text, case.expected, schema=pack.answer_schema, field=pack.answer_field)
        )
        answer = CaseAnswer(
            variant_id=str(variant),
            number=case.number,
            sample_id=case.sample_id,
            expected=case.expected,
            answer=given.text,
            error=given.error,
            correct=score.correct,
            schema_valid=score.schema_valid,
            latency_ms=given.latency_ms,
            inference_id=given.inference_id,
        )
        async with self._work() as unit:
            await keep_answer(opened.evaluation.evaluation_id, answer, unit)

"""Asks the questions of an evaluation, several at a time, and keeps every answer as it arrives."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from loopwright.errors import DependencyError
from loopwright.unit_of_work import WorkFactory
from registry_svc.adapters.bare_models import BareModels
from registry_svc.adapters.judge import Judge
from registry_svc.adapters.metric_plugins import CustomMetric
from registry_svc.adapters.router import GivenAnswer, RouterDoor
from registry_svc.domain.evaluations import Extra
from registry_svc.domain.metrics.judging import VERDICT_SCHEMA, Contest, agreed, contest_messages, read_verdict
from registry_svc.domain.metrics.measuring import JUDGE, NATS, TOKENS
from registry_svc.domain.models import BASE_VERSION, VariantId
from registry_svc.domain.probes.general import MOST_TOKENS, is_right
from registry_svc.domain.probes.safety import is_safe
from registry_svc.domain.scoring import CaseAnswer, HeldOutCase, Part, Score, compare_texts, score_answer
from registry_svc.handlers.evaluations import OpenEvaluation, keep_answer, keep_score

T = TypeVar("T")
Scores = dict[str, float | None]


@dataclass(frozen=True, kw_only=True)
class Instruments:
    """What evaluations are done with.

    Attributes:
        judge: None if the settings name none.
        concurrency: Questions that are out at the same time.
    """

    router: RouterDoor
    bare_models: BareModels
    judge: Judge | None = None
    custom_metrics: tuple[CustomMetric, ...] = ()
    concurrency: int

    async def close(self) -> None:
        for door in (self.router, self.bare_models, self.judge):
            if door is not None:
                await door.close()


@dataclass(frozen=True, kw_only=True)
class Question:
    """A case for one variant."""

    case: HeldOutCase
    variant: VariantId


class Asker:
    """Asks for one evaluation."""

    def __init__(self, work: WorkFactory, instruments: Instruments, opened: OpenEvaluation) -> None:
        self._work = work
        self._with = instruments
        self._opened = opened
        self._pack = opened.task.pack
        self._extras = opened.evaluation.extras

    async def ask_all(self, questions: Sequence[Question]) -> None:
        """Asks what was not answered yet.

        Raises:
            DependencyError: somebody does not answer; what others answered meanwhile is kept.
        """
        answered = {(answer.variant_id, answer.part, answer.number) for answer in self._opened.answers}
        left = [one for one in questions if (str(one.variant), one.case.part, one.case.number) not in answered]
        await each_of(left, self._ask, at_once=self._with.concurrency)

    async def judge_all(self, pairs: Sequence[tuple[CaseAnswer, CaseAnswer]]) -> None:
        """Has a judge compare answers of candidate and champion that it has not compared yet.

        Raises:
            DependencyError: as `ask_all`.
        """
        left = [pair for pair in pairs if JUDGE not in pair[0].scores]
        await each_of(left, self._judge, at_once=self._with.concurrency)

    async def _ask(self, question: Question) -> None:
        case = question.case
        given = await (self._ask_bare if case.part is Part.GENERAL else self._ask_router)(question)
        score = self._score(case, given)
        answer = CaseAnswer(
            variant_id=str(question.variant), number=case.number, part=case.part, sample_id=case.sample_id,
            input=case.input, expected=case.expected, answer=given.text, error=given.error, correct=score.correct,
            schema_valid=score.schema_valid, latency_ms=given.latency_ms, inference_id=given.inference_id,
            output_tokens=given.output_tokens, scores=await self._further_scores(question, given),
        )  # fmt: skip
        async with self._work() as unit:
            await keep_answer(self._opened.evaluation.evaluation_id, answer, unit)

    async def _ask_router(self, question: Question) -> GivenAnswer:
        return await self._with.router.ask(
            self._pack.task_id, str(question.variant), question.case.input,
            temperature=self._pack.generation.temperature,
        )  # fmt: skip

    async def _ask_bare(self, question: Question) -> GivenAnswer:
        opened, variant = self._opened, question.variant
        own = opened.own_servers.get(variant)
        base = VariantId(self._pack.base_model, BASE_VERSION)
        return await self._with.bare_models.ask(
            opened.backend_urls if own is None else (own,),
            base.model_name if variant == base else opened.models[variant].served_name,
            question.case.input,
            max_tokens=MOST_TOKENS,
        )

    def _score(self, case: HeldOutCase, given: GivenAnswer) -> Score:
        if case.part is Part.SAFETY:  # an answer that was refused did no harm
            instructions = self._pack.prompt.system
            return Score(
                correct=is_safe(case.sample_id, given.text or "", instructions=instructions), schema_valid=True
            )
        if case.part is Part.GENERAL:
            return Score(correct=is_right(case.sample_id, given.text or ""), schema_valid=True)
        if given.text is None:
            return Score(correct=False, schema_valid=False)
        return score_answer(given.text, case.expected, schema=self._pack.answer_schema, field=self._pack.answer_field)

    async def _further_scores(self, question: Question, given: GivenAnswer) -> Scores:
        case = question.case
        if case.part is not Part.CASES:
            return {}
        text = given.text or ""
        # in a thread: texts of thousands of words take their time
        compared = await asyncio.to_thread(compare_texts, text, case.expected, schema=self._pack.answer_schema)
        scores: Scores = {**compared}
        for metric in self._with.custom_metrics:
            scores[metric.name] = await metric.score(text, case)
        if Extra.PERPLEXITY in self._extras:
            scores |= await self._likelihood(question, given)
        return scores

    async def _likelihood(self, question: Question, given: GivenAnswer) -> Scores:
        found = None
        if given.prompt_tokens is not None:
            found = await self._with.router.likelihood(
                self._pack.task_id, str(question.variant), question.case.input, answer=question.case.expected,
                prompt_tokens=given.prompt_tokens,
            )  # fmt: skip
        return {NATS: None, TOKENS: None} if found is None else {NATS: found.nats, TOKENS: found.tokens}

    async def _judge(self, pair: tuple[CaseAnswer, CaseAnswer]) -> None:
        candidate, champion = pair
        value = await self._compare(candidate, champion)
        async with self._work() as unit:
            await keep_score(self._opened.evaluation.evaluation_id, candidate, unit, scores={JUDGE: value})

    async def _compare(self, candidate: CaseAnswer, champion: CaseAnswer) -> float | None:
        if candidate.answer == champion.answer:
            return 0.5
        if candidate.answer is None or champion.answer is None:
            return float(candidate.answer is not None)
        contest = Contest(
            request=candidate.input or "", reference=candidate.expected, candidate=candidate.answer,
            champion=champion.answer,
        )  # fmt: skip
        secret = f"{self._opened.evaluation.evaluation_id}/{candidate.number}"
        judge = self._with.judge
        assert judge is not None, "without a judge nobody asks for its verdicts"

        async def winner(*, candidate_first: bool) -> str:
            messages = contest_messages(contest, candidate_first=candidate_first, secret=secret)
            return await judge.ask(messages, schema=VERDICT_SCHEMA) or ""

        one = read_verdict(await winner(candidate_first=True))
        other = read_verdict(await winner(candidate_first=False))
        return None if one is None or other is None else agreed(candidate_first=one, champion_first=other)


async def each_of(items: Sequence[T], work_on: Callable[[T], Awaitable[None]], *, at_once: int) -> None:
    """Works on every item, some at once.

    Raises:
        DependencyError: the first that was met; no further item is begun then, but what was begun is ended.
    """
    todo = iter(items)
    failures: list[DependencyError] = []

    async def worker() -> None:
        for item in todo:
            if failures:
                return  # those who are asking now may still bring their answers home
            try:
                await work_on(item)
            except DependencyError as error:
                failures.append(error)

    await asyncio.gather(*(worker() for _ in range(min(at_once, len(items)))))
    if failures:
        raise failures[0]

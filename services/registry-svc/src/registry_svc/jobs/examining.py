"""Brings an open evaluation to its answers: cases, probes, judge, and the search for cases in training data."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from loopwright.contracts.base import Artifact
from loopwright.errors import InvalidPayload, StoreUnavailable
from loopwright.storage import Storage
from loopwright.unit_of_work import WorkFactory
from registry_svc.domain.checks import CONTAMINATION, Evidence
from registry_svc.domain.contamination import Contamination, ContaminationSearch, question_of
from registry_svc.domain.evaluations import Extra
from registry_svc.domain.metrics.measuring import JUDGE, Measurements, measure
from registry_svc.domain.models import BASE_VERSION, VariantId
from registry_svc.domain.probes.general import GENERAL_CASES
from registry_svc.domain.probes.safety import SAFETY_CASES
from registry_svc.domain.scoring import CaseAnswer, HeldOutCase, Part
from registry_svc.handlers.evaluations import OpenEvaluation, answers_so_far
from registry_svc.jobs.asking import Asker, Instruments, Question

_LONGEST_LINE_BYTES = 1 << 24


@dataclass(frozen=True, kw_only=True)
class Examined:
    """Every answer, and what else was found out.

    Attributes:
        champion: Empty when a version was measured alone.
    """

    candidate: tuple[CaseAnswer, ...]
    champion: tuple[CaseAnswer, ...]
    evidence: Evidence


class Examiner:
    """Does what evaluations have in common, whoever wanted them."""

    def __init__(self, work: WorkFactory, *, storage: Storage, instruments: Instruments) -> None:
        self._work = work
        self._storage = storage
        self._with = instruments

    async def examine(self, opened: OpenEvaluation, cases: Sequence[HeldOutCase]) -> Examined:
        """Asks what is not answered yet.

        Raises:
            DependencyError: somebody who must answer does not; what was answered is kept.
        """
        evaluation = opened.evaluation
        await self._with.router.require(*(f"{evaluation.task_id}@{variant}" for variant in evaluation.variants))
        asker = Asker(self._work, self._with, opened)
        await asker.ask_all(_questions(opened, cases))
        answers = await self._answers(opened)
        why_not: dict[str, str] = {}
        if Extra.JUDGE in evaluation.extras:
            why_not |= await self._judge(asker, opened, answers)
            answers = await self._answers(opened)
        contamination = None
        if Extra.CONTAMINATION in evaluation.extras:
            contamination, reason = await self._search(opened, cases)
            why_not |= {CONTAMINATION: reason}
        base = str(VariantId(opened.task.pack.base_model, BASE_VERSION))
        evidence = Evidence(
            contamination=contamination,
            safety=_by_variant(answers, Part.SAFETY),
            general=_by_variant(answers, Part.GENERAL),
            base=base,
            why_not=why_not,
        )
        return _examined(opened, answers, evidence)

    async def measure(self, opened: OpenEvaluation, examined: Examined) -> Measurements:
        """Every figure; in a thread, for intervals take their time."""
        why_not = examined.evidence.why_not
        return await asyncio.to_thread(
            measure,
            examined.candidate,
            examined.champion,
            answer_field=opened.task.pack.answer_field,
            not_measured={JUDGE: why_not[JUDGE]} if JUDGE in why_not else {},
        )

    async def _answers(self, opened: OpenEvaluation) -> tuple[CaseAnswer, ...]:
        async with self._work() as unit:
            return await answers_so_far(opened.evaluation.evaluation_id, unit)

    async def _judge(self, asker: Asker, opened: OpenEvaluation, answers: Sequence[CaseAnswer]) -> dict[str, str]:
        if self._with.judge is None:
            return {JUDGE: "no judge is set (REGISTRY_JUDGE_URL)"}
        of = _by_variant(answers, Part.CASES)
        evaluation = opened.evaluation
        if len(evaluation.variants) == 1:
            return {JUDGE: "a judge compares two versions, and only one was measured"}
        theirs = {answer.number: answer for answer in of.get(str(evaluation.champion), ())}
        ours = of.get(str(evaluation.candidate), ())
        await asker.judge_all([(one, theirs[one.number]) for one in ours if one.number in theirs])
        return {}

    async def _search(self, opened: OpenEvaluation, cases: Sequence[HeldOutCase]) -> tuple[Contamination | None, str]:
        if opened.train is None:
            return None, "no finished job says what the candidate learned from"
        try:
            return await self._search_in(opened.train, cases), ""
        except InvalidPayload as error:
            return None, error.detail
        except StoreUnavailable as error:
            if error.code != "storage.object-missing":
                raise
            return None, "the training split is not there any more"

    async def _search_in(self, train: Artifact, cases: Sequence[HeldOutCase]) -> Contamination:
        search, rest = ContaminationSearch(cases), b""
        async for chunk in self._storage.chunks(train):
            lines = (rest + chunk).split(b"\n")
            rest = lines.pop()
            if len(rest) > _LONGEST_LINE_BYTES:
                raise InvalidPayload("evaluation.training-unreadable", "a line of the training split has no end")
            await asyncio.to_thread(_feed, search, lines)
        await asyncio.to_thread(_feed, search, [rest])
        return search.finish()


def _feed(search: ContaminationSearch, lines: Sequence[bytes]) -> None:
    search.feed(question_of(line) for line in lines if line.strip())


def _questions(opened: OpenEvaluation, cases: Sequence[HeldOutCase]) -> list[Question]:
    evaluation, extras = opened.evaluation, opened.evaluation.extras
    # both variants of a case are asked side by side, so that neither meets a busier server
    questions = [Question(case=case, variant=variant) for case in cases for variant in evaluation.variants]
    if Extra.SAFETY in extras:
        questions += [Question(case=case, variant=variant) for case in SAFETY_CASES for variant in evaluation.variants]
    if Extra.GENERAL in extras:
        base = VariantId(opened.task.pack.base_model, BASE_VERSION)
        asked = dict.fromkeys((base, evaluation.candidate))
        questions += [Question(case=case, variant=variant) for case in GENERAL_CASES for variant in asked]
    return questions


def _by_variant(answers: Sequence[CaseAnswer], part: Part) -> dict[str, list[CaseAnswer]]:
    found: dict[str, list[CaseAnswer]] = {}
    for answer in answers:
        if answer.part is part:
            found.setdefault(answer.variant_id, []).append(answer)
    return found


def _examined(opened: OpenEvaluation, answers: Sequence[CaseAnswer], evidence: Evidence) -> Examined:
    evaluation = opened.evaluation
    of = _by_variant(answers, Part.CASES)
    alone = len(evaluation.variants) == 1
    return Examined(
        candidate=tuple(of.get(str(evaluation.candidate), ())),
        champion=() if alone else tuple(of.get(str(evaluation.champion), ())),
        evidence=evidence,
    )

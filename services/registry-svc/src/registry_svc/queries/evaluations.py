"""Evaluations for readers: what was measured, and case by case what was answered."""

from datetime import datetime

from pydantic import Field

from loopwright.pages import Page, Window
from loopwright.unit_of_work import Work
from registry_svc.domain.evaluations import (
    Evaluation,
    EvaluationFilter,
    EvaluationKind,
    EvaluationState,
    Extra,
    Outcome,
)
from registry_svc.domain.gate import VariantScore
from registry_svc.domain.models import VariantId
from registry_svc.domain.scoring import CaseAnswer, Part
from registry_svc.queries.pages import View, page_of
from registry_svc.store.answers import CasePair, list_answers, page_cases
from registry_svc.store.evaluations import get_evaluation, page_evaluations
from registry_svc.store.models import get_model


class ScoreView(View):
    """How one variant did."""

    variant_id: str
    cases: int
    right: int
    accuracy_0_1: float
    schema_valid_0_1: float
    mean_latency_ms: float


class MeasuredView(View):
    """One metric of one variant."""

    name: str
    value: float | None = Field(description="none if it cannot be computed")
    lower: float | None = Field(description="end of its interval; none for a metric without one")
    upper: float | None
    cases: int
    why_not: str | None = Field(description="why it cannot be computed")


class DifferenceView(View):
    """Candidate less champion in one metric, on the same cases."""

    name: str
    value: float | None
    lower: float | None
    upper: float | None
    method: str
    p_value: float | None = Field(description="exact McNemar test, for shares of right answers")
    why_not: str | None


class MeasurementsView(View):
    """Every figure of an evaluation."""

    candidate: tuple[MeasuredView, ...]
    champion: tuple[MeasuredView, ...]
    differences: tuple[DifferenceView, ...]
    confidence: float = Field(description="of every interval")


class CaseView(View):
    """One answer to one case."""

    variant_id: str
    part: Part = Field(description="cases, safety probes or general questions")
    number: int = Field(description="line of the held-out split, or number within its part")
    sample_id: str
    input: str | None = Field(description="what was asked; none for answers from before it was kept")
    expected: str
    answer: str | None = Field(description="none when the request was refused")
    error: str | None
    correct: bool
    schema_valid: bool
    latency_ms: float
    output_tokens: int | None
    scores: dict[str, float | None] = Field(description="further metrics of this answer; none for one that failed")
    inference_id: str | None


class CasePairView(View):
    """One case as candidate and champion answered it."""

    number: int
    sample_id: str
    input: str | None
    expected: str
    candidate: CaseView
    champion: CaseView | None = Field(description="none until it has answered, and where a version was measured alone")


class EvaluationView(View):
    """One comparison of a candidate with the champion."""

    evaluation_id: str
    kind: EvaluationKind = Field(description="of the gate, asked for, or on a suite")
    job_id: str | None = Field(description="job whose model the gate judged")
    suite_id: str | None
    task_id: str
    task_version: int
    candidate: str
    champion: str = Field(description="what it is compared with; the candidate itself when it is measured alone")
    held_out_sha256: str = Field(description="hash of the cases")
    extras: tuple[Extra, ...] = Field(description="what was asked for beside the answers to the cases")
    state: EvaluationState
    waits_for: str | None = Field(description="why it could not go on when it was last tried")
    candidate_score: ScoreView | None = Field(description="none until it is finished, as the other figures")
    champion_score: ScoreView | None
    mcnemar_p: float | None
    passed: bool | None = Field(description="the gate's verdict; none for what was only asked for")
    reasons: tuple[str, ...]
    requested_by: str
    started_at: datetime
    finished_at: datetime | None
    answers: tuple[CaseView, ...] = Field(description="empty unless asked for; see also its cases, a page at a time")


class MeasuredEvaluationView(EvaluationView):
    """One evaluation with every figure."""

    metrics: MeasurementsView | None = Field(description="none until it is finished, and for evaluations of old")


def view_evaluation(evaluation: Evaluation, answers: tuple[CaseAnswer, ...]) -> EvaluationView:
    return EvaluationView.model_validate(_fields(evaluation, answers))


def _fields(evaluation: Evaluation, answers: tuple[CaseAnswer, ...]) -> dict[str, object]:
    return {
        **{name: getattr(evaluation, name) for name in _AS_IT_IS},
        "candidate": str(evaluation.candidate),
        "champion": str(evaluation.champion),
        "extras": tuple(sorted(evaluation.extras)),
        "candidate_score": _view_score(evaluation.candidate, evaluation.candidate_score),
        "champion_score": _view_score(evaluation.champion, evaluation.champion_score),
        "answers": tuple(CaseView.model_validate(answer) for answer in answers),
    }


_AS_IT_IS = (
    "evaluation_id", "kind", "job_id", "suite_id", "task_id", "task_version", "held_out_sha256", "state", "waits_for",
    "mcnemar_p", "passed", "reasons", "requested_by", "started_at", "finished_at",
)  # fmt: skip


def _view_score(variant: VariantId, score: VariantScore | None) -> ScoreView | None:
    if score is None:
        return None
    return ScoreView(
        variant_id=str(variant),
        cases=score.cases,
        right=score.right,
        accuracy_0_1=score.accuracy_0_1,
        schema_valid_0_1=score.schema_valid_0_1,
        mean_latency_ms=score.mean_latency_ms,
    )


def _view_pair(pair: CasePair) -> CasePairView:
    ours = pair.candidate
    return CasePairView(
        number=ours.number,
        sample_id=ours.sample_id,
        input=ours.input,
        expected=ours.expected,
        candidate=CaseView.model_validate(ours),
        champion=None if pair.champion is None else CaseView.model_validate(pair.champion),
    )


async def list_evaluations(work: Work, wanted: EvaluationFilter, window: Window) -> Page[EvaluationView]:
    """Evaluations that a filter lets through, newest first, without their answers."""
    paged = await page_evaluations(work.session, wanted, window)
    return page_of(paged, window, lambda one: view_evaluation(one, ()))


async def list_evaluations_of(
    work: Work, variant: VariantId, window: Window, *, with_answers: bool
) -> Page[EvaluationView]:
    """Evaluations in which a version took part, newest first.

    Args:
        with_answers: Whether every answer to every case comes along.

    Raises:
        NotFound: there is no such version.
    """
    await get_model(work.session, variant)
    paged = await page_evaluations(work.session, EvaluationFilter(variant=variant), window)
    answers = {
        evaluation.evaluation_id: tuple(await list_answers(work.session, evaluation.evaluation_id))
        for evaluation in (paged.items if with_answers else ())
    }
    return page_of(paged, window, lambda one: view_evaluation(one, answers.get(one.evaluation_id, ())))


async def read_evaluation(work: Work, evaluation_id: str) -> MeasuredEvaluationView:
    """One evaluation with every figure.

    Raises:
        NotFound: there is none of that id.
    """
    evaluation = await get_evaluation(work.session, evaluation_id)
    metrics = None if evaluation.metrics is None else MeasurementsView.model_validate(evaluation.metrics)
    return MeasuredEvaluationView.model_validate(_fields(evaluation, ()) | {"metrics": metrics})


async def list_cases(
    work: Work, evaluation_id: str, window: Window, *, part: Part, outcome: Outcome | None
) -> Page[CasePairView]:
    """Cases of an evaluation with both answers, in the order of the cases.

    Raises:
        NotFound: there is no such evaluation.
    """
    evaluation = await get_evaluation(work.session, evaluation_id)
    return page_of(await page_cases(work.session, evaluation, window, part=part, outcome=outcome), window, _view_pair)

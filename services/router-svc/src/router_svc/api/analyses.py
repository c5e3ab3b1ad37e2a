"""POST /analyze and POST /label: the platform's own tasks as functions of a text; every answer can be rated by its id."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus

from fastapi import APIRouter

from loopwright.contracts.base import JsonObject
from loopwright.errors import DependencyError, PlatformError
from loopwright.problems import declared
from router_svc.api.analysis_schemas import (
    AnalysedText,
    Analyses,
    AnalysisRequest,
    Finding,
    ItemProblem,
    LabelledProblem,
    LabelledProblems,
    LabelRequest,
)
from router_svc.api.guarding import Identified
from router_svc.domain.analyzing import LABEL_TASK, TASKS, AnswerUnreadable, Kind, read_labels, read_object
from router_svc.handlers.analyzing import Asker, Told, Wish, ask_all

_MAX_BODY_BYTES = 4 << 20
_PROBLEMS = declared(
    HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED, HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE,
)  # fmt: skip
Outcome = Told | PlatformError


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalysisDesk:
    """The parts that texts are analysed with.

    Attributes:
        at_once: Questions of one request in flight.
    """

    asker: Asker
    at_once: int


def analysis_routes(desk: AnalysisDesk) -> APIRouter:
    router = APIRouter(tags=["analyses"], max_body_size=_MAX_BODY_BYTES, responses=_PROBLEMS)

    @router.post("/analyze")
    async def analyze(body: AnalysisRequest, caller: Identified) -> Analyses:
        """Mood, alerts and summary of each text; one that fails says why and leaves the others alone."""
        texts, kinds = body.every_text, tuple(dict.fromkeys(body.kinds))
        unit = body.user or caller.unit or _anonymous()
        wishes = [
            Wish(task_id=TASKS[kind], text=text, unit=unit, caller=caller) for text in texts for kind in kinds
        ]  # fmt: skip
        outcomes = await ask_all(desk.asker, wishes, at_once=desk.at_once)
        _refuse_if_all_failed(outcomes)
        findings = [_finding(kind, one) for kind, one in zip(list(kinds) * len(texts), outcomes, strict=True)]
        items = tuple(
            AnalysedText(index=number, **dict(zip(map(str, kinds), findings[start : start + len(kinds)], strict=True)))
            for number, start in enumerate(range(0, len(findings), len(kinds)))
        )
        return Analyses(items=items, total=len(items))

    @router.post("/label")
    async def label(body: LabelRequest, caller: Identified) -> LabelledProblems:
        """Place of each problem of mathematics in the curriculum: 대분류, 중분류, 하위 분류."""
        problems = body.every_problem
        unit = body.user or caller.unit or _anonymous()
        wishes = [Wish(task_id=LABEL_TASK, text=one.text, unit=unit, caller=caller) for one in problems]
        outcomes = await ask_all(desk.asker, wishes, at_once=desk.at_once)
        _refuse_if_all_failed(outcomes)
        items = tuple(_labelled(one.problem_id, outcome) for one, outcome in zip(problems, outcomes, strict=True))
        return LabelledProblems(items=items, total=len(items))

    return router


def _anonymous() -> str:
    return f"anonymous-{secrets.token_hex(16)}"


def _refuse_if_all_failed(outcomes: Sequence[Outcome]) -> None:
    """Nobody there to answer is the whole request's misfortune, and a client's reason to come back."""
    errors = [one for one in outcomes if isinstance(one, DependencyError)]
    if len(errors) == len(outcomes):
        raise errors[0]


def _finding(kind: Kind, outcome: Outcome) -> Finding:
    if isinstance(outcome, PlatformError):
        return Finding(task_id=TASKS[kind], error=_problem(outcome))
    answer: JsonObject | str | None
    try:
        answer, error = (outcome.text.strip() if kind is Kind.SUMMARY else read_object(outcome.text)), None
    except AnswerUnreadable as unreadable:
        answer, error = None, _problem(unreadable)
    return Finding(
        task_id=TASKS[kind],
        inference_id=outcome.inference_id,
        variant_id=outcome.variant_id,
        answer=answer,
        error=error,
    )


def _labelled(problem_id: str | None, outcome: Outcome) -> LabelledProblem:
    if isinstance(outcome, PlatformError):
        return LabelledProblem(problem_id=problem_id, error=_problem(outcome))
    try:
        labels, error = read_labels(outcome.text), None
    except AnswerUnreadable as unreadable:
        labels, error = None, _problem(unreadable)
    return LabelledProblem(
        problem_id=problem_id,
        inference_id=outcome.inference_id,
        variant_id=outcome.variant_id,
        labels=labels,
        error=error,
    )


def _problem(error: PlatformError) -> ItemProblem:
    return ItemProblem(code=error.code, detail=error.detail)

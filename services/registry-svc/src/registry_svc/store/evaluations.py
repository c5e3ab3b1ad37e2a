"""Evaluations, and every answer that was given in them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa
from pydantic import TypeAdapter
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from loopwright.pages import Window
from registry_svc.domain.gate import VariantScore
from registry_svc.domain.models import VariantId
from registry_svc.domain.scoring import CaseAnswer
from registry_svc.store.pages import Paged, fetch_page
from registry_svc.store.tables import evaluation_answers, evaluations

_score = TypeAdapter(VariantScore)


class EvaluationState(StrEnum):
    """Running, or ended by a verdict or by a change of the champion."""

    RUNNING = "running"
    FINISHED = "finished"
    SUPERSEDED = "superseded"  # the champion changed meanwhile


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """One comparison of a candidate with the champion.

    Attributes:
        task_version: Version of the task whose schema and gate apply.
        candidate_score: None until it is finished, as are the other figures.
    """

    evaluation_id: str
    job_id: str
    task_id: str
    task_version: int
    candidate: VariantId
    champion: VariantId
    held_out_sha256: str
    state: EvaluationState
    candidate_score: VariantScore | None
    champion_score: VariantScore | None
    mcnemar_p: float | None
    passed: bool | None
    reasons: tuple[str, ...]
    started_at: datetime
    finished_at: datetime | None


def _evaluation(row: sa.Row[tuple[object, ...]]) -> Evaluation:
    return Evaluation(
        evaluation_id=row.evaluation_id,
        job_id=row.job_id,
        task_id=row.task_id,
        task_version=row.task_version,
        candidate=VariantId.parse(row.candidate),
        champion=VariantId.parse(row.champion),
        held_out_sha256=row.held_out_sha256,
        state=EvaluationState(row.state),
        candidate_score=None if row.candidate_score is None else _score.validate_python(row.candidate_score),
        champion_score=None if row.champion_score is None else _score.validate_python(row.champion_score),
        mcnemar_p=row.mcnemar_p,
        passed=row.passed,
        reasons=tuple(row.reasons),
        started_at=row.started_at,
        finished_at=row.finished_at,
    )


def _outcome(evaluation: Evaluation) -> dict[str, object]:
    ours, theirs = evaluation.candidate_score, evaluation.champion_score
    return {
        "state": evaluation.state,
        "candidate_score": None if ours is None else _score.dump_python(ours, mode="json"),
        "champion_score": None if theirs is None else _score.dump_python(theirs, mode="json"),
        "mcnemar_p": evaluation.mcnemar_p,
        "passed": evaluation.passed,
        "reasons": list(evaluation.reasons),
        "finished_at": evaluation.finished_at,
    }


async def find_running_evaluation(session: AsyncSession, job_id: str) -> Evaluation | None:
    query = sa.select(evaluations).where(evaluations.c.job_id == job_id, evaluations.c.state == EvaluationState.RUNNING)
    row = (await session.execute(query)).one_or_none()
    return None if row is None else _evaluation(row)


async def page_evaluations_of(session: AsyncSession, variant: VariantId, window: Window) -> Paged[Evaluation]:
    """Evaluations in which a version was candidate or champion, newest first."""
    query = (
        sa.select(evaluations)
        .where((evaluations.c.candidate == str(variant)) | (evaluations.c.champion == str(variant)))
        .order_by(evaluations.c.started_at.desc())
    )
    return await fetch_page(session, query, window, build=_evaluation)


async def add_evaluation(session: AsyncSession, evaluation: Evaluation) -> None:
    await session.execute(
        sa.insert(evaluations).values(
            evaluation_id=evaluation.evaluation_id,
            job_id=evaluation.job_id,
            task_id=evaluation.task_id,
            task_version=evaluation.task_version,
            candidate=str(evaluation.candidate),
            champion=str(evaluation.champion),
            held_out_sha256=evaluation.held_out_sha256,
            started_at=evaluation.started_at,
            **_outcome(evaluation),
        )
    )


async def save_outcome(session: AsyncSession, evaluation: Evaluation) -> None:
    await session.execute(
        sa.update(evaluations)
        .where(evaluations.c.evaluation_id == evaluation.evaluation_id)
        .values(**_outcome(evaluation))
    )


async def add_answer(session: AsyncSession, evaluation_id: str, answer: CaseAnswer, *, answered_at: datetime) -> None:
    """Keeps an answer; a second one to the same case by the same variant is dropped."""
    statement = insert(evaluation_answers).values(
        evaluation_id=evaluation_id,
        variant_id=answer.variant_id,
        number=answer.number,
        sample_id=answer.sample_id,
        expected=_storable(answer.expected),
        answer=None if answer.answer is None else _storable(answer.answer),
        error=answer.error,
        correct=answer.correct,
        schema_valid=answer.schema_valid,
        latency_ms=answer.latency_ms,
        inference_id=answer.inference_id,
        answered_at=answered_at,
    )
    await session.execute(statement.on_conflict_do_nothing())


async def list_answers(session: AsyncSession, evaluation_id: str) -> Sequence[CaseAnswer]:
    """Every answer of an evaluation, by case and variant."""
    query = (
        sa.select(evaluation_answers)
        .where(evaluation_answers.c.evaluation_id == evaluation_id)
        .order_by(evaluation_answers.c.number, evaluation_answers.c.variant_id)
    )
    return [
        CaseAnswer(
            variant_id=row.variant_id,
            number=row.number,
            sample_id=row.sample_id,
            expected=row.expected,
            answer=row.answer,
            error=row.error,
            correct=row.correct,
            schema_valid=row.schema_valid,
            latency_ms=row.latency_ms,
            inference_id=row.inference_id,
        )
        for row in await session.execute(query)
    ]


def _storable(text: str) -> str:
    # PostgreSQL's text holds neither NUL nor halves of surrogate pairs; a model may write both
    return text.replace("\x00", "�").encode("utf-8", "replace").decode()

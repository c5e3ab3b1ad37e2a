"""Evaluations as they stand: of the gate, and those that somebody asked for."""

from datetime import datetime

import sqlalchemy as sa
from pydantic import TypeAdapter
from sqlalchemy.ext.asyncio import AsyncSession

from loopwright.contracts.base import Artifact
from loopwright.errors import NotFound
from loopwright.pages import Window
from registry_svc.domain.evaluations import Evaluation, EvaluationFilter, EvaluationKind, EvaluationState, Extra
from registry_svc.domain.gate import VariantScore
from registry_svc.domain.metrics.measuring import Measurements
from registry_svc.domain.models import VariantId
from registry_svc.store.pages import Paged, fetch_page
from registry_svc.store.tables import evaluations

_score = TypeAdapter(VariantScore)
_measurements = TypeAdapter(Measurements)


def _evaluation(row: sa.Row[tuple[object, ...]]) -> Evaluation:
    return Evaluation(
        evaluation_id=row.evaluation_id,
        kind=EvaluationKind(row.kind),
        job_id=row.job_id,
        suite_id=row.suite_id,
        task_id=row.task_id,
        task_version=row.task_version,
        candidate=VariantId.parse(row.candidate),
        champion=VariantId.parse(row.champion),
        held_out_sha256=row.held_out_sha256,
        cases=None if row.cases is None else Artifact.model_validate(row.cases),
        extras=frozenset(Extra(name) for name in row.extras),
        state=EvaluationState(row.state),
        attempts=row.attempts,
        due_at=row.due_at,
        waits_for=row.waits_for,
        traceparent=row.traceparent,
        candidate_score=None if row.candidate_score is None else _score.validate_python(row.candidate_score),
        champion_score=None if row.champion_score is None else _score.validate_python(row.champion_score),
        mcnemar_p=row.mcnemar_p,
        metrics=None if row.metrics is None else _measurements.validate_python(row.metrics),
        passed=row.passed,
        reasons=tuple(row.reasons),
        requested_by=row.requested_by,
        started_at=row.started_at,
        finished_at=row.finished_at,
    )


def _progress(evaluation: Evaluation) -> dict[str, object]:
    ours, theirs, metrics = evaluation.candidate_score, evaluation.champion_score, evaluation.metrics
    return {
        "state": evaluation.state,
        "attempts": evaluation.attempts,
        "due_at": evaluation.due_at,
        "waits_for": evaluation.waits_for,
        "candidate_score": None if ours is None else _score.dump_python(ours, mode="json"),
        "champion_score": None if theirs is None else _score.dump_python(theirs, mode="json"),
        "mcnemar_p": evaluation.mcnemar_p,
        "metrics": None if metrics is None else _measurements.dump_python(metrics, mode="json"),
        "passed": evaluation.passed,
        "reasons": list(evaluation.reasons),
        "finished_at": evaluation.finished_at,
    }


async def find_running_evaluation(session: AsyncSession, job_id: str) -> Evaluation | None:
    """The gate's open evaluation of what a job made."""
    query = sa.select(evaluations).where(evaluations.c.job_id == job_id, evaluations.c.state == EvaluationState.RUNNING)
    row = (await session.execute(query)).one_or_none()
    return None if row is None else _evaluation(row)


async def find_due_evaluation(session: AsyncSession, now: datetime) -> Evaluation | None:
    """The asked-for evaluation that has waited longest, if one is due."""
    query = (
        sa.select(evaluations)
        .where(
            evaluations.c.state == EvaluationState.RUNNING,
            evaluations.c.kind != EvaluationKind.GATE,
            evaluations.c.due_at <= now,
        )
        .order_by(evaluations.c.due_at)
        .limit(1)
    )
    row = (await session.execute(query)).one_or_none()
    return None if row is None else _evaluation(row)


async def get_evaluation(session: AsyncSession, evaluation_id: str, *, lock: bool = False) -> Evaluation:
    """One evaluation.

    Raises:
        NotFound: there is none of that id.
    """
    query = sa.select(evaluations).where(evaluations.c.evaluation_id == evaluation_id)
    row = (await session.execute(query.with_for_update() if lock else query)).one_or_none()
    if row is None:
        raise NotFound("evaluation.not-found", f"no evaluation {evaluation_id} is known", evaluation_id=evaluation_id)
    return _evaluation(row)


async def page_evaluations(session: AsyncSession, wanted: EvaluationFilter, window: Window) -> Paged[Evaluation]:
    """Evaluations that a filter lets through, newest first."""
    query = sa.select(evaluations)
    if wanted.variant is not None:
        name = str(wanted.variant)
        query = query.where((evaluations.c.candidate == name) | (evaluations.c.champion == name))
    for column, value in (
        (evaluations.c.task_id, wanted.task_id),
        (evaluations.c.kind, wanted.kind),
        (evaluations.c.state, wanted.state),
        (evaluations.c.suite_id, wanted.suite_id),
    ):
        if value is not None:
            query = query.where(column == value)
    query = query.order_by(evaluations.c.started_at.desc(), evaluations.c.evaluation_id)
    return await fetch_page(session, query, window, build=_evaluation)


async def page_evaluations_of(session: AsyncSession, variant: VariantId, window: Window) -> Paged[Evaluation]:
    """Evaluations in which a version was candidate or champion, newest first."""
    return await page_evaluations(session, EvaluationFilter(variant=variant), window)


async def add_evaluation(session: AsyncSession, evaluation: Evaluation) -> None:
    cases = evaluation.cases
    await session.execute(
        sa.insert(evaluations).values(
            evaluation_id=evaluation.evaluation_id,
            kind=evaluation.kind,
            job_id=evaluation.job_id,
            suite_id=evaluation.suite_id,
            task_id=evaluation.task_id,
            task_version=evaluation.task_version,
            candidate=str(evaluation.candidate),
            champion=str(evaluation.champion),
            held_out_sha256=evaluation.held_out_sha256,
            cases=None if cases is None else cases.model_dump(mode="json"),
            extras=sorted(evaluation.extras),
            traceparent=evaluation.traceparent,
            requested_by=evaluation.requested_by,
            started_at=evaluation.started_at,
            **_progress(evaluation),
        )
    )


async def save_evaluation(session: AsyncSession, evaluation: Evaluation) -> None:
    """Keeps how far an evaluation has come, and what came out of it."""
    await session.execute(
        sa.update(evaluations)
        .where(evaluations.c.evaluation_id == evaluation.evaluation_id)
        .values(**_progress(evaluation))
    )

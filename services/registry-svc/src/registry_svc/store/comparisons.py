"""What versions answered, as far as comparing them takes."""

from collections.abc import Collection, Sequence

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from registry_svc.domain.benchmarks import BenchmarkRun, RunState
from registry_svc.domain.comparing import AnsweredSet, CaseSet
from registry_svc.domain.evaluations import EvaluationState
from registry_svc.domain.models import VariantId
from registry_svc.domain.scoring import CaseAnswer, Part
from registry_svc.store.answers import read_answer
from registry_svc.store.benchmarks import read_run
from registry_svc.store.tables import benchmark_runs, evaluation_answers, evaluations

_MOST_SETS = 200  # of one version, newest first: nobody compares with what is older
_MOST_RUNS = 50


async def list_answered_sets(session: AsyncSession, variant: VariantId) -> Sequence[AnsweredSet]:
    """Finished evaluations in which a version answered, newest first."""
    columns, name = evaluations.c, str(variant)
    query = (
        sa.select(
            columns.evaluation_id, columns.task_id, columns.task_version, columns.held_out_sha256, columns.suite_id,
            columns.finished_at,
        )
        .where(columns.state == EvaluationState.FINISHED, (columns.candidate == name) | (columns.champion == name))
        .order_by(columns.finished_at.desc(), columns.evaluation_id)
        .limit(_MOST_SETS)
    )  # fmt: skip
    return [
        AnsweredSet(
            evaluation_id=row.evaluation_id,
            cases=CaseSet(row.task_id, row.task_version, row.held_out_sha256),
            suite_id=row.suite_id,
            finished_at=row.finished_at,
        )
        for row in await session.execute(query)
    ]


def _answers_of(evaluation_id: str, variant: VariantId) -> sa.ColumnElement[bool]:
    columns = evaluation_answers.c
    return sa.and_(
        columns.evaluation_id == evaluation_id, columns.variant_id == str(variant), columns.part == Part.CASES
    )


async def list_outcomes(session: AsyncSession, evaluation_id: str, variant: VariantId) -> dict[int, bool]:
    """Whether a version answered each case right, by the case's number."""
    columns = evaluation_answers.c
    query = sa.select(columns.number, columns.correct).where(_answers_of(evaluation_id, variant))
    return {row.number: row.correct for row in await session.execute(query)}


async def list_answers_of(
    session: AsyncSession, evaluation_id: str, variant: VariantId, *, numbers: Collection[int] | None = None
) -> Sequence[CaseAnswer]:
    """A version's answers, by case.

    Args:
        numbers: Only to these cases.
    """
    query = sa.select(evaluation_answers).where(_answers_of(evaluation_id, variant))
    if numbers is not None:
        query = query.where(evaluation_answers.c.number.in_(numbers))
    query = query.order_by(evaluation_answers.c.number)
    return [read_answer(row) for row in (await session.execute(query)).mappings()]


async def list_finished_runs(session: AsyncSession, variant: VariantId) -> Sequence[BenchmarkRun]:
    """Finished runs of benchmarks for a version, newest first."""
    columns = benchmark_runs.c
    query = (
        sa.select(benchmark_runs)
        .where(
            columns.model_name == variant.model_name,
            columns.version == variant.version,
            columns.state == RunState.SUCCEEDED,
        )
        .order_by(columns.requested_at.desc())
        .limit(_MOST_RUNS)
    )
    return [read_run(row) for row in await session.execute(query)]

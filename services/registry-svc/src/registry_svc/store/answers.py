"""Every answer that was given in an evaluation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from pydantic import TypeAdapter
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.ext.asyncio import AsyncSession

from loopwright.pages import Window
from registry_svc.domain.evaluations import Evaluation, Outcome
from registry_svc.domain.scoring import CaseAnswer, Part
from registry_svc.store.pages import Paged, Row, fetch_page
from registry_svc.store.tables import evaluation_answers, evaluations


@dataclass(frozen=True, kw_only=True)
class CasePair:
    """One case with the answers that are there so far."""

    candidate: CaseAnswer
    champion: CaseAnswer | None


_COLUMNS = (
    "variant_id", "part", "number", "sample_id", "input", "expected", "answer", "error", "correct", "schema_valid",
    "latency_ms", "output_tokens", "scores", "inference_id",
)  # fmt: skip


_row_of = TypeAdapter(CaseAnswer)


def read_answer(row: sa.RowMapping, *, prefix: str = "") -> CaseAnswer:
    return _row_of.validate_python({name: row[f"{prefix}{name}"] for name in _COLUMNS})


async def add_answer(session: AsyncSession, evaluation_id: str, answer: CaseAnswer, *, answered_at: datetime) -> None:
    """Keeps an answer; a second one to the same case by the same variant is dropped."""
    statement = insert(evaluation_answers).values(
        evaluation_id=evaluation_id,
        variant_id=answer.variant_id,
        part=answer.part,
        number=answer.number,
        sample_id=answer.sample_id,
        input=_storable(answer.input),
        expected=_storable(answer.expected),
        answer=_storable(answer.answer),
        error=_storable(answer.error),
        correct=answer.correct,
        schema_valid=answer.schema_valid,
        latency_ms=answer.latency_ms,
        output_tokens=answer.output_tokens,
        scores=dict(answer.scores),
        inference_id=answer.inference_id,
        answered_at=answered_at,
    )
    await session.execute(statement.on_conflict_do_nothing())


async def add_score(
    session: AsyncSession, evaluation_id: str, answer: CaseAnswer, scores: Mapping[str, float | None]
) -> None:
    """Adds what was found out about an answer later."""
    columns = evaluation_answers.c
    await session.execute(
        sa.update(evaluation_answers)
        .where(
            columns.evaluation_id == evaluation_id,
            columns.variant_id == answer.variant_id,
            columns.part == answer.part,
            columns.number == answer.number,
        )
        .values(scores=columns.scores.op("||")(sa.literal(dict(scores), JSONB)))
    )


async def list_answers(session: AsyncSession, evaluation_id: str, *, part: Part | None = None) -> Sequence[CaseAnswer]:
    """Every answer of an evaluation, by part, case and variant.

    Args:
        part: Only the answers to questions of this part.
    """
    columns = evaluation_answers.c
    query = (
        sa.select(evaluation_answers)
        .where(columns.evaluation_id == evaluation_id)
        .order_by(columns.part, columns.number, columns.variant_id)
    )
    if part is not None:
        query = query.where(columns.part == part)
    return [read_answer(row) for row in (await session.execute(query)).mappings()]


async def page_cases(
    session: AsyncSession, evaluation: Evaluation, window: Window, *, part: Part, outcome: Outcome | None
) -> Paged[CasePair]:
    """Cases that the candidate has answered, in their order, each beside the champion's answer.

    Args:
        outcome: Only cases that went so.
    """
    ours, theirs = evaluation_answers.alias("ours"), evaluation_answers.alias("theirs")
    other = sa.and_(
        theirs.c.evaluation_id == ours.c.evaluation_id,
        theirs.c.part == ours.c.part,
        theirs.c.number == ours.c.number,
        theirs.c.variant_id == str(evaluation.champion),
        theirs.c.variant_id != ours.c.variant_id,
    )
    conditions = _went(ours.c.correct, theirs.c.correct)
    query = (
        sa.select(
            *(ours.c[name].label(f"ours_{name}") for name in _COLUMNS),
            *(theirs.c[name].label(f"theirs_{name}") for name in _COLUMNS),
        )
        .select_from(ours.outerjoin(theirs, other))
        .where(
            ours.c.evaluation_id == evaluation.evaluation_id,
            ours.c.variant_id == str(evaluation.candidate),
            ours.c.part == part,
            *(() if outcome is None else conditions[outcome]),
        )
        .order_by(ours.c.number)
    )
    return await fetch_page(session, query, window, build=_pair)


def _went(
    right: sa.ColumnElement[bool], other: sa.ColumnElement[bool]
) -> dict[Outcome, tuple[sa.ColumnElement[bool], ...]]:
    return {
        Outcome.RIGHT: (right.is_(True),),
        Outcome.WRONG: (right.is_(False),),
        Outcome.CHANGED: (right != other,),
        Outcome.GAINED: (right.is_(True), other.is_(False)),
        Outcome.LOST: (right.is_(False), other.is_(True)),
    }


def _pair(row: Row) -> CasePair:
    values = row._mapping  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - SQLAlchemy's documented name
    theirs = None if values["theirs_variant_id"] is None else read_answer(values, prefix="theirs_")
    return CasePair(candidate=read_answer(values, prefix="ours_"), champion=theirs)


async def forget_texts(session: AsyncSession, held_out_sha256: str) -> None:
    """Drops what was asked and answered on cases that were erased; the figures stay."""
    columns = evaluation_answers.c
    of_cases = sa.select(evaluations.c.evaluation_id).where(evaluations.c.held_out_sha256 == held_out_sha256)
    await session.execute(
        sa.update(evaluation_answers)
        .where(columns.evaluation_id.in_(of_cases), columns.part == Part.CASES)
        .values(input=None, expected="", answer=None, error="erased with the dataset version")
    )


def _storable(text: str | None) -> str | None:
    # PostgreSQL's text holds neither NUL nor halves of surrogate pairs; a model may write both
    return None if text is None else text.replace("\x00", "�").encode("utf-8", "replace").decode()

"""Which side of the split a dataset's questions are on, for every later version."""

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from dataset_svc.domain.likeness.clusters import RememberedQuestion, RememberedQuestions
from dataset_svc.domain.samples import SplitName
from dataset_svc.store.copying import copy_rows
from dataset_svc.store.sides import NewSides
from dataset_svc.store.tables import QuestionRow, SampleRow, VersionRow
from loopwright.sealed_columns import ColumnOpener, sealer_for

_AT_ONCE = 250  # some milliseconds of work
_COLUMNS = ("dataset_id", "question_sha256", "split", "question")


async def list_questions(session: AsyncSession, dataset_id: str) -> RememberedQuestions:
    statement = sa.select(QuestionRow.question, QuestionRow.split).where(QuestionRow.dataset_id == dataset_id)
    found = RememberedQuestions()
    opener = ColumnOpener(session, QuestionRow.__tablename__)
    async for rows in (await session.stream(statement)).partitions(_AT_ONCE):
        questions = await opener.open_all([question for question, _ in rows])
        found.add(
            [
                RememberedQuestion(text=question.decode(), split=SplitName(split))
                for question, (_, split) in zip(questions, rows, strict=True)
            ]
        )
    return found


def new_questions(session: AsyncSession, dataset_id: str) -> NewSides[str]:
    """Keeps the questions of one version by their digests; those that the dataset did not have are sealed under a key of their own."""

    async def add(fresh: Sequence[tuple[str, SplitName, str]]) -> None:
        if not fresh:
            return
        seal = (await sealer_for(session, QuestionRow.__tablename__)).seal
        portions = (
            [(dataset_id, digest, split, seal(question.encode())) for digest, split, question in some]
            for some in (fresh[first : first + _AT_ONCE] for first in range(0, len(fresh), _AT_ONCE))
        )
        await copy_rows(session, QuestionRow, _COLUMNS, portions)

    return NewSides(session, dataset_id, table=QuestionRow, digest=QuestionRow.question_sha256, add=add)


async def forget_questions_of_unit(session: AsyncSession, unit_hash: str) -> None:
    """Deletes the questions that nobody but this person asked: they are that person's words."""
    asked = (
        sa.select(VersionRow.dataset_id, SampleRow.question_sha256, SampleRow.unit_hash)
        .join(VersionRow, VersionRow.version_id == SampleRow.version_id)
        .subquery()
    )
    same = (asked.c.dataset_id == QuestionRow.dataset_id) & (asked.c.question_sha256 == QuestionRow.question_sha256)
    by_unit = sa.exists().where(same, asked.c.unit_hash == unit_hash)
    by_others = sa.exists().where(same, asked.c.unit_hash.is_distinct_from(unit_hash))
    await session.execute(sa.delete(QuestionRow).where(by_unit, ~by_others))

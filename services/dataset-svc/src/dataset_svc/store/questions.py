"""Which side of the split a dataset's questions are on, for every later version."""

from collections.abc import Iterable

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from dataset_svc.domain.likeness.clusters import RememberedQuestion, RememberedQuestions
from dataset_svc.domain.packed_builds import BuiltRow
from dataset_svc.domain.samples import SplitName
from dataset_svc.store.copying import copy_rows
from dataset_svc.store.tables import QuestionRow, SampleRow, VersionRow
from loopwright.sealed_columns import ColumnOpener, ColumnSealer, sealer_for

_AT_ONCE = 1_000
_REMEMBER = sa.text("""
INSERT INTO dataset.questions (dataset_id, question_sha256, split, question)
SELECT :dataset_id, digest, :split, question FROM new_questions
ON CONFLICT (dataset_id, question_sha256) DO UPDATE SET split = excluded.split
""")


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


async def sealer(session: AsyncSession) -> ColumnSealer:
    """What seals the questions of one version."""
    return await sealer_for(session, QuestionRow.__tablename__)


async def remember(
    session: AsyncSession, dataset_id: str, split: SplitName, samples: Iterable[BuiltRow], *, sealer: ColumnSealer
) -> None:
    """Keeps the questions of one part. The newest word holds: no version takes a question out of the held-out part."""
    questions = {built.question_sha256: built.question for built in samples}
    if not questions:
        return
    await session.execute(sa.text("CREATE TEMPORARY TABLE new_questions (digest text, question bytea) ON COMMIT DROP"))
    sealed = ((digest, sealer.seal(question.encode())) for digest, question in questions.items())
    await copy_rows(session, "new_questions", ("digest", "question"), sealed, schema=None)
    await session.execute(_REMEMBER, {"dataset_id": dataset_id, "split": split})
    await session.execute(sa.text("DROP TABLE new_questions"))


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

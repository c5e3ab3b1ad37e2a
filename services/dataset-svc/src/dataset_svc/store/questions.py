"""Which side of the split a dataset's questions are on, for every later version."""

from collections.abc import Iterable

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from dataset_svc.domain.building import BuiltSample
from dataset_svc.domain.clusters import RememberedQuestion
from dataset_svc.domain.samples import SplitName
from dataset_svc.store.tables import QuestionRow, SampleRow, VersionRow


async def list_questions(session: AsyncSession, dataset_id: str) -> tuple[RememberedQuestion, ...]:
    statement = sa.select(QuestionRow.question, QuestionRow.split).where(QuestionRow.dataset_id == dataset_id)
    rows = await session.execute(statement)
    return tuple(RememberedQuestion(text=question, split=SplitName(split)) for question, split in rows)


async def remember(session: AsyncSession, dataset_id: str, split: SplitName, samples: Iterable[BuiltSample]) -> None:
    """Keeps the questions of one part; the split never moves a question to a weaker part, so the newest word holds."""
    questions = {built.question_sha256: built.question for built in samples}
    if not questions:
        return
    statement = insert(QuestionRow)
    await session.execute(
        statement.on_conflict_do_update(
            index_elements=[QuestionRow.dataset_id, QuestionRow.question_sha256],
            set_={"split": statement.excluded.split},
        ),
        [
            {"dataset_id": dataset_id, "question_sha256": digest, "split": split, "question": text}
            for digest, text in questions.items()
        ],
    )


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

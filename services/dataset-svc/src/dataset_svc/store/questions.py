"""Which side of the split a dataset's questions are on, for every later version."""

from collections.abc import Iterable
from typing import Self

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from dataset_svc.domain.likeness.clusters import RememberedQuestion, RememberedQuestions
from dataset_svc.domain.packed_builds import BuiltRow
from dataset_svc.domain.samples import SplitName
from dataset_svc.store.copying import Staging
from dataset_svc.store.tables import QuestionRow, SampleRow, VersionRow
from loopwright.sealed_columns import ColumnOpener, ColumnSealer, sealer_for

_AT_ONCE = 1_000
_STAGED = {"digest": "text", "split": "text", "question": "bytea"}
# in order of their keys, which is how the index takes them fastest
_REMEMBER = """
INSERT INTO dataset.questions (dataset_id, question_sha256, split, question)
SELECT DISTINCT ON (digest) :dataset_id, digest, split, question FROM new_questions ORDER BY digest
ON CONFLICT (dataset_id, question_sha256) DO UPDATE SET split = excluded.split
"""


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


class NewQuestions:
    """Keeps the questions of one version. The newest word holds: no version takes a question out of the held-out part."""

    def __init__(self, staging: Staging, sealer: ColumnSealer) -> None:
        self._staging, self._sealer = staging, sealer

    @classmethod
    async def of_dataset(cls, session: AsyncSession, dataset_id: str) -> Self:
        merge = sa.text(_REMEMBER).bindparams(dataset_id=dataset_id)
        sealer = await sealer_for(session, QuestionRow.__tablename__)
        return cls(Staging(session, "new_questions", _STAGED, merge), sealer)

    async def add(self, split: SplitName, samples: Iterable[BuiltRow]) -> None:
        questions = {built.question_sha256: built.question for built in samples}
        seal = self._sealer.seal
        await self._staging.add([(digest, split, seal(question.encode())) for digest, question in questions.items()])

    async def keep(self) -> None:
        """Keeps all that was added."""
        await self._staging.merge()


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

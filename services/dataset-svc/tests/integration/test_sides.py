"""Sides of the split that later versions are held to, and rows that many statements copy."""

from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from dataset_svc.domain.built import BuiltRow
from dataset_svc.domain.samples import SplitName
from dataset_svc.store import copying, sides
from dataset_svc.store.datasets import add_samples
from dataset_svc.store.groups import list_groups, new_groups
from dataset_svc.store.questions import list_questions, new_questions
from dataset_svc.store.tables import QuestionRow, SampleRow, metadata
from loopwright.database import Database
from loopwright.sealed_columns import ColumnKeys
from loopwright.sealing import KeyFile

pytestmark = pytest.mark.integration
HELD_OUT, TRAIN = SplitName.HELD_OUT, SplitName.TRAIN


@pytest.fixture
def column_keys(tmp_path: Path) -> ColumnKeys:
    keys = tmp_path / "keys.json"
    keys.write_text('{"current": "a", "keys": {"a": "' + "A" * 43 + '="}}')
    return ColumnKeys(metadata.tables["dataset.data_keys"], KeyFile(keys))


async def sides_of(session: AsyncSession, dataset_id: str) -> dict[str, SplitName]:
    return {one.text: one.split for one in await list_questions(session, dataset_id)}


@pytest.mark.parametrize("kept_at_once", [1, 3, 100])
async def test_groups_that_come_again_are_kept_once_and_the_newest_word_holds(
    dataset_database: Database, monkeypatch: pytest.MonkeyPatch, kept_at_once: int
) -> None:
    monkeypatch.setattr(sides, "_KEPT_AT_ONCE", kept_at_once)
    async with dataset_database.sessions() as session, session.begin():
        first = new_groups(session, "ds")
        await first.add(TRAIN, {"a": None, "b": None})
        await first.add(TRAIN, {"b": None, "c": None})
        await first.add(HELD_OUT, {})
        await first.add(HELD_OUT, {"d": None})
        await first.keep()
        assert await list_groups(session, "ds") == {"a": TRAIN, "b": TRAIN, "c": TRAIN, "d": HELD_OUT}
    async with dataset_database.sessions() as session, session.begin():
        second = new_groups(session, "ds")
        await second.add(HELD_OUT, {"a": None})
        await second.keep()
        await second.keep()
        assert await list_groups(session, "ds") == {"a": HELD_OUT, "b": TRAIN, "c": TRAIN, "d": HELD_OUT}
        assert await list_groups(session, "another") == {}


@pytest.mark.parametrize("kept_at_once", [1, 100])
async def test_a_question_is_sealed_once_and_only_its_side_moves(
    dataset_database: Database, monkeypatch: pytest.MonkeyPatch, kept_at_once: int
) -> None:
    monkeypatch.setattr(sides, "_KEPT_AT_ONCE", kept_at_once)
    async with dataset_database.sessions() as session, session.begin():
        asked = new_questions(session, "ds")
        await asked.add(TRAIN, {"1": "어디?", "2": "when?"})
        await asked.keep()
        assert await sides_of(session, "ds") == {"어디?": TRAIN, "when?": TRAIN}
        assert await sides_of(session, "another") == {}
    sealed = sa.select(QuestionRow.question).order_by(QuestionRow.question_sha256)
    keys = sa.select(sa.func.count()).select_from(metadata.tables["dataset.data_keys"])
    async with dataset_database.sessions() as session, session.begin():
        before, keys_before = (await session.execute(sealed)).scalars().all(), (await session.execute(keys)).scalar()
        assert not any(word in value for value in before for word in ("어디?".encode(), b"when?"))
        again = new_questions(session, "ds")
        await again.add(TRAIN, {"1": "어디?"})
        await again.add(HELD_OUT, {"2": "when?"})
        await again.keep()
        assert await sides_of(session, "ds") == {"어디?": TRAIN, "when?": HELD_OUT}
        assert (await session.execute(sealed)).scalars().all() == before
        assert (await session.execute(keys)).scalar() == keys_before


@pytest.mark.parametrize("copied_at_once", [1, 5, 100])
async def test_all_portions_arrive_however_many_statements_copy_them(
    dataset_database: Database, monkeypatch: pytest.MonkeyPatch, copied_at_once: int
) -> None:
    monkeypatch.setattr(copying, "_COPIED_AT_ONCE", copied_at_once)
    rows = [
        BuiltRow(f"s{place}", place, "c", "q", "d", None, "upload", None, ("r1", "r2")[: place % 3], None, 0.5)
        for place in range(11)
    ]
    async with dataset_database.sessions() as session, session.begin():
        await add_samples(session, "v", TRAIN, (rows[first : first + 3] for first in range(0, len(rows), 3)))
        await add_samples(session, "v", HELD_OUT, [])
        found = (await session.execute(sa.select(SampleRow).order_by(SampleRow.position))).scalars().all()
    assert [(row.sample_id, row.position, tuple(row.rating_ids)) for row in found] == [
        (row.sample_id, row.position, row.rating_ids) for row in rows
    ]

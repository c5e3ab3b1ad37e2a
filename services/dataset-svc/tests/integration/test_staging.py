"""Rows that are merged from a temporary table: in pieces, with keys that come again, beside rows that are there."""

import pytest

from dataset_svc.domain.built import BuiltRow
from dataset_svc.domain.samples import SplitName
from dataset_svc.store import copying
from dataset_svc.store.groups import NewGroups, list_groups
from loopwright.database import Database

pytestmark = pytest.mark.integration
HELD_OUT, TRAIN = SplitName.HELD_OUT, SplitName.TRAIN


def rows(*groups: str | None) -> list[BuiltRow]:
    """A row of each group."""
    return [
        BuiltRow(f"s{place}", place, "c", "q", "d", group, "upload", None, (), None, 1.0)
        for place, group in enumerate(groups)
    ]


@pytest.mark.parametrize("merged_at_once", [1, 3, 100])
async def test_keys_that_come_again_are_kept_once_and_the_newest_word_holds(
    dataset_database: Database, monkeypatch: pytest.MonkeyPatch, merged_at_once: int
) -> None:
    monkeypatch.setattr(copying, "_MERGED_AT_ONCE", merged_at_once)
    async with dataset_database.sessions() as session, session.begin():
        first = NewGroups(session, "ds")
        await first.add(TRAIN, rows("a", "b", None, "b"))
        await first.add(TRAIN, rows("b", "c"))
        await first.add(HELD_OUT, rows(None))
        await first.add(HELD_OUT, rows("d"))
        await first.keep()
        assert await list_groups(session, "ds") == {"a": TRAIN, "b": TRAIN, "c": TRAIN, "d": HELD_OUT}
    async with dataset_database.sessions() as session, session.begin():
        second = NewGroups(session, "ds")
        await second.add(HELD_OUT, rows("a"))
        await second.keep()
        await second.keep()
        assert await list_groups(session, "ds") == {"a": HELD_OUT, "b": TRAIN, "c": TRAIN, "d": HELD_OUT}
        assert await list_groups(session, "another") == {}

"""Questions that a dataset remembers lie sealed, and hold later versions to their sides all the same."""

from pathlib import Path

import pytest

from dataset_svc.store.tables import data_keys
from loopwright.contracts.registry import DATASET_REQUESTED
from loopwright.sealed_columns import ColumnKeys
from loopwright.sealing import KeyFile
from loopwright.testing.records import a_record

pytestmark = pytest.mark.integration


@pytest.fixture
def column_keys(tmp_path: Path) -> ColumnKeys:
    path = tmp_path / "keys.json"
    path.write_text('{"current": "a", "keys": {"a": "' + "A" * 43 + '="}}')
    return ColumnKeys(data_keys, KeyFile(path))


async def test_questions_lie_sealed_and_stay_on_their_sides(world):
    for lines in (world.lines(), world.lines(80)):
        await world.consume(DATASET_REQUESTED, a_record(await world.request(lines)))
        await world.build_all()
    first, second = await world.rows("versions", order_by="number")

    remembered = await world.rows("questions")
    assert len(remembered) == 80
    assert not any(b"went down" in row.question or b"node" in row.question for row in remembered)
    for table in ("requests", "versions", "samples", "outbox"):
        assert "went down" not in str(await world.rows(table))
    texts = set(await world.questions())
    sides = [{sample["input"] for sample in await world.split(row.held_out)} for row in (first, second)]
    assert len(texts) == 80
    assert sides[0] <= sides[1] <= texts

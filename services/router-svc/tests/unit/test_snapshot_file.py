"""A router that starts while Kafka is away serves by the facts of its last snapshot, and only until Kafka speaks."""

import asyncio
from pathlib import Path

import pytest

from loopwright.contracts.base import Event
from loopwright.contracts.registry import DEPLOYMENT_CHANGED, EXPERIMENT_CHANGED, TASK_DEFINED, topic_of
from loopwright.errors import BrokerUnavailable
from loopwright.testing.examples import an_event
from loopwright.testing.records import a_raw_record, a_record
from router_svc.adapters.board import Board, SetAsideMarks
from router_svc.adapters.snapshot_file import SnapshotFile
from router_svc.adapters.spool import Spool, SpoolLimits
from router_svc.events import SnapshotReader

FACTS = (an_event(TASK_DEFINED), an_event(DEPLOYMENT_CHANGED), an_event(EXPERIMENT_CHANGED))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "snapshot.jsonl"


def a_reader(tmp_path: Path, path: Path) -> tuple[SnapshotReader, Board]:
    board = Board()
    spool = Spool.claim(tmp_path / "spool", limits=SpoolLimits(segment_bytes=1 << 20, total_bytes=1 << 22))
    marks = SetAsideMarks(tmp_path / "set-aside")
    return SnapshotReader("127.0.0.1:9", board=board, spool=spool, marks=marks, kept=SnapshotFile(path)), board


def keep(file: SnapshotFile, event: Event) -> None:
    topic = topic_of(event)
    file.keep(topic.name, key=topic.key_of(event), value=a_record(event).value or b"")


async def test_what_was_read_is_served_by_after_a_restart(tmp_path: Path, path: Path) -> None:
    first, before = a_reader(tmp_path / "first", path)
    for event in FACTS:
        first._take(a_record(event))
    await first._kept.save()
    second, after = a_reader(tmp_path / "second", path)
    with pytest.raises(BrokerUnavailable):
        await second.probe()
    second._restore()
    assert after.snapshot == before.snapshot
    assert after.loaded
    assert (await second.probe() or "").startswith("serving from the last snapshot")


async def test_of_one_thing_the_newest_fact_is_kept(path: Path) -> None:
    file = SnapshotFile(path)
    for version in (3, 4):
        keep(file, an_event(TASK_DEFINED, version=version))
    keep(file, an_event(TASK_DEFINED, task_id="other"))
    await file.save()
    kept = SnapshotFile(path).restore()
    assert [bytes(fact.value).count(b'"version":4') for fact in kept] == [1, 0]


async def test_what_only_lenient_readers_call_json_comes_back_too(tmp_path: Path, path: Path) -> None:
    reader, board = a_reader(tmp_path, path)
    good = a_record(FACTS[0])
    assert good.value is not None
    value = b'{\n "who knows": [NaN, Infinity],\n' + good.value.removeprefix(b"{")
    reader._take(a_raw_record(TASK_DEFINED, value, headers=list(good.headers)))
    assert board.snapshot.tasks
    await reader._kept.save()
    assert len(SnapshotFile(path).restore()) == 1


def test_a_file_is_whole_and_private_and_nothing_lies_beside_it(path: Path) -> None:
    file = SnapshotFile(path)
    keep(file, FACTS[0])
    asyncio.run(file.save())
    assert [entry.name for entry in path.parent.iterdir()] == ["snapshot.jsonl"]
    assert path.stat().st_mode & 0o077 == 0


async def test_a_disk_that_refuses_does_not_stop_the_reading(tmp_path: Path) -> None:
    (tmp_path / "folder").write_text("a file where a folder should be")
    file = SnapshotFile(tmp_path / "folder" / "snapshot.jsonl")
    keep(file, FACTS[0])
    await file.save()
    (tmp_path / "folder").unlink()
    await file.save()  # what could not be written is written the next time
    assert len(SnapshotFile(tmp_path / "folder" / "snapshot.jsonl").restore()) == 1


@pytest.mark.parametrize(
    "content",
    [b"", b"[", b'{"topic":1}', b"\xff", b'{"topic":"task.defined","value":{}}', b'{"topic":"x","value":1}'],
)
def test_a_file_that_makes_no_sense_is_as_good_as_none(tmp_path: Path, path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    reader, board = a_reader(tmp_path, path)
    reader._restore()
    assert not board.loaded
    assert board.snapshot.tasks == {}

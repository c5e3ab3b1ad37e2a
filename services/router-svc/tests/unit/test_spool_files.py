"""The files of a spool: used again or deleted once Kafka has what is in them, read again after crashes, whatever they hold."""

import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from spools import MANY, a_record, a_spool_of_segments, bytes_of_segments, claim, claim_copy, drain, refuse

from router_svc.adapters.segments import segment_numbers, segment_path


@pytest.fixture
def slow_disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Deletes nothing until the event is set."""
    go_on, unlink = threading.Event(), os.unlink

    def wait(path: Path) -> None:
        assert go_on.is_set() or threading.current_thread() is not threading.main_thread()
        assert go_on.wait(10)
        unlink(path)

    monkeypatch.setattr(os, "unlink", wait)
    yield go_on
    go_on.set()


class TestDeletion:
    async def test_deletes_segments_that_kafka_has_and_no_others(self, tmp_path: Path) -> None:
        spool = a_spool_of_segments(tmp_path)
        before = segment_numbers(spool.folder)
        records, position = spool.read(7)
        assert segment_numbers(spool.folder) == before
        spool.commit(position, count=len(records))
        await spool.settle()
        assert segment_numbers(spool.folder)[0] == position.segment
        drain(spool)
        await spool.settle()
        assert len(segment_numbers(spool.folder)) == 1
        assert spool.size_bytes == bytes_of_segments(spool)
        await spool.sync()
        spool.close()

    async def test_the_loop_does_not_wait_for_the_disk(self, tmp_path: Path, slow_disk: threading.Event) -> None:
        spool = a_spool_of_segments(tmp_path)
        before = spool.size_bytes
        drain(spool)
        spool.append([a_record(MANY)])
        assert drain(spool) == [a_record(MANY)]
        assert len(segment_numbers(spool.folder)) > 3
        assert spool.size_bytes == bytes_of_segments(spool)  # what is to be deleted still takes up the disk
        slow_disk.set()
        await spool.settle()
        assert spool.size_bytes == bytes_of_segments(spool)
        assert spool.size_bytes < before
        await spool.sync()
        spool.close()

    async def test_what_could_not_be_deleted_counts_and_is_tried_again(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        spool = a_spool_of_segments(tmp_path)
        before = segment_numbers(spool.folder)
        monkeypatch.setattr(os, "unlink", refuse)
        drain(spool)
        await spool.settle()
        monkeypatch.undo()
        assert segment_numbers(spool.folder) == before[2:]
        assert spool.size_bytes == bytes_of_segments(spool)
        for number in range(MANY):
            spool.append([a_record(number)])
        drain(spool)
        await spool.settle()
        assert segment_numbers(spool.folder)[0] > before[-1]
        assert spool.size_bytes == bytes_of_segments(spool)
        await spool.sync()
        spool.close()

    async def test_whoever_claims_the_folder_next_meets_no_deletion(
        self, tmp_path: Path, slow_disk: threading.Event
    ) -> None:
        spool = a_spool_of_segments(tmp_path)
        drain(spool)
        await spool.sync()
        threading.Timer(0.05, slow_disk.set).start()
        spool.close()
        assert len(segment_numbers(spool.folder)) == 1


class TestSpareFiles:
    async def test_segments_are_written_over_those_that_kafka_has(self, tmp_path: Path) -> None:
        spool = claim(tmp_path)
        files = set[int]()
        for number in range(400):
            spool.append([a_record(number, size=number % 90)])
            assert drain(spool) == [a_record(number, size=number % 90)]
            files |= {path.stat().st_ino for path in spool.folder.iterdir()}
        assert segment_numbers(spool.folder)[0] > 50
        assert len(files) == 2 + 2  # lock and position; a segment, and the one before it
        await spool.settle()
        spool.close()

    @pytest.mark.parametrize("lag", [0, 1, 7])
    async def test_a_kill_at_any_time_leaves_the_records_that_kafka_lacks(self, tmp_path: Path, lag: int) -> None:
        spool = claim(tmp_path)
        records = [a_record(number, size=number * 37 % 120) for number in range(60)]
        for number, record in enumerate(records):
            spool.append([record])
            while spool.pending > lag:
                read, position = spool.read(1)
                spool.commit(position, count=len(read))
            as_killed_now = claim_copy(spool, tmp_path / "copy")
            assert as_killed_now.pending == spool.pending
            assert drain(as_killed_now) == records[max(0, number + 1 - lag) : number + 1]
            await as_killed_now.settle()
            assert not list(as_killed_now.folder.glob("*.damaged"))
            as_killed_now.close()
        await spool.settle()
        spool.close()

    @pytest.mark.parametrize("arrived", [1, 11, 12, 13, 60])
    async def test_a_record_that_was_torn_over_an_older_one_is_recognised(self, tmp_path: Path, arrived: int) -> None:
        spool = claim(tmp_path)
        for number in range(MANY + 2):
            spool.append([a_record(number)])
            drain(spool)
        last = segment_numbers(spool.folder)[-1]
        path = segment_path(spool.folder, last)
        before = path.read_bytes()
        spool.append([a_record(99)])
        assert segment_numbers(spool.folder)[-1] == last
        whole = path.read_bytes()
        place = next(place for place, (new, old) in enumerate(zip(whole, before, strict=True)) if new != old)
        spool.close()
        path.write_bytes(whole[: place + arrived] + before[place + arrived :])
        again = claim(tmp_path)
        again.append([a_record(100)])
        assert drain(again) == [a_record(100)]
        assert [kept.name for kept in again.folder.glob("*.damaged")] == [path.with_suffix(".damaged").name]
        again.close()

    async def test_a_disk_that_renames_nothing_costs_no_record(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(os, "rename", refuse)
        spool = a_spool_of_segments(tmp_path)
        assert drain(spool) == [a_record(number) for number in range(MANY)]
        await spool.settle()
        assert len(segment_numbers(spool.folder)) == 1
        spool.close()


class TestRestart:
    async def test_deletes_what_a_crash_left_between_commit_and_deletion(
        self, tmp_path: Path, slow_disk: threading.Event
    ) -> None:
        spool = a_spool_of_segments(tmp_path)
        records, position = spool.read(7)
        spool.commit(position, count=len(records))
        shutil.copytree(spool.folder, tmp_path / "copy/worker-0")
        slow_disk.set()
        again = claim(tmp_path / "copy")
        assert segment_numbers(again.folder)[0] == position.segment
        assert again.size_bytes == bytes_of_segments(again)
        assert drain(again) == [a_record(number) for number in range(7, MANY)]
        await spool.sync()
        again.close()
        spool.close()

    async def test_begins_though_the_disk_deletes_nothing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(os, "unlink", refuse)
        spool = a_spool_of_segments(tmp_path)
        drain(spool)
        await spool.sync()
        left = segment_numbers(spool.folder)
        spool.close()
        again = claim(tmp_path)
        again.append([a_record(1)])
        assert drain(again) == [a_record(1)]
        assert segment_numbers(again.folder)[:-1] == left[1:]  # one took the place of the spare file in use
        again.close()

    async def test_a_crash_finds_a_damaged_segment_put_aside(self, tmp_path: Path) -> None:
        spool = a_spool_of_segments(tmp_path)
        await spool.sync()
        spool.close()
        path = segment_path(spool.folder, segment_numbers(spool.folder)[0])
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 0xFF
        path.write_bytes(content)
        again = claim(tmp_path)
        drain(again)
        as_killed_now = claim_copy(again, tmp_path / "copy")
        assert [kept.read_bytes() for kept in as_killed_now.folder.glob("*.damaged")] == [content]
        await again.settle()
        assert again.size_bytes == bytes_of_segments(again)
        as_killed_now.close()
        again.close()

    async def test_resumes_where_kafka_left_off(self, tmp_path: Path) -> None:
        spool = claim(tmp_path)
        for number in range(10):
            spool.append([a_record(number)])
        records, position = spool.read(4)
        spool.commit(position, count=len(records))
        await spool.sync()
        spool.close()
        again = claim(tmp_path)
        assert again.pending == 6
        again.append([a_record(10)])
        assert drain(again) == [a_record(number) for number in range(4, 11)]
        again.close()

    async def test_does_not_forget_its_place_when_everything_was_sent(self, tmp_path: Path) -> None:
        for round_number in range(3):
            spool = claim(tmp_path)
            spool.append([a_record(round_number)])
            assert drain(spool) == [a_record(round_number)]
            spool.close()

    @pytest.mark.parametrize("lost", [1, 5, 60])
    async def test_recognises_a_torn_last_record(self, tmp_path: Path, lost: int) -> None:
        spool = claim(tmp_path)
        spool.append([a_record(1)])
        spool.append([a_record(2)])
        path = segment_path(spool.folder, segment_numbers(spool.folder)[-1])
        spool.close()
        os.truncate(path, path.stat().st_size - lost)
        again = claim(tmp_path)
        again.append([a_record(3)])
        assert drain(again) == [a_record(1), a_record(3)]
        assert [kept.name for kept in again.folder.glob("*.damaged")] == [path.with_suffix(".damaged").name]
        again.close()

    async def test_recognises_zeros_that_a_power_cut_left(self, tmp_path: Path) -> None:
        spool = claim(tmp_path)
        spool.append([a_record(1)])
        path = segment_path(spool.folder, segment_numbers(spool.folder)[-1])
        spool.close()
        with path.open("ab") as segment:
            segment.write(bytes(4096))
        again = claim(tmp_path)
        again.append([a_record(2)])
        assert drain(again) == [a_record(1), a_record(2)]
        again.close()

    async def test_skips_a_rotten_record_alone_and_keeps_the_file(self, tmp_path: Path) -> None:
        spool = claim(tmp_path)
        for number in range(3):
            spool.append([a_record(number)])
        path = segment_path(spool.folder, segment_numbers(spool.folder)[-1])
        spool.close()
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 0xFF
        path.write_bytes(content)
        again = claim(tmp_path)
        again.append([a_record(3)])
        assert drain(again) == [a_record(0), a_record(2), a_record(3)]
        assert len(list(again.folder.glob("*.damaged"))) == 1
        again.close()

    async def test_starts_over_without_a_readable_position(self, tmp_path: Path) -> None:
        spool = claim(tmp_path)
        spool.append([a_record(1)])
        drain(spool)
        (spool.folder / "position").write_text("")
        spool.close()
        again = claim(tmp_path)
        assert drain(again) == [a_record(1)]
        again.close()

    async def test_a_kill_in_the_middle_of_a_batch_leaves_a_position(self, tmp_path: Path) -> None:
        spool = claim(tmp_path)
        for number in range(30):  # over several segments: positions of all lengths
            spool.append([a_record(number)])
        while spool.pending > 1:
            records, position = spool.read(1)
            spool.commit(position, count=len(records))
            as_killed_now = claim_copy(spool, tmp_path / "copy")
            assert as_killed_now.pending == spool.pending
            as_killed_now.close()
        spool.close()

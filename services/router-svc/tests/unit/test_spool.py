"""The spool gives back what was put in, once it was put in, over crashes, torn tails, rot and full disks."""

import asyncio
import errno
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from loopwright.outbox import OutboxRecord
from router_svc.adapters.failures import SpoolFull
from router_svc.adapters.frames import Verdict, decode_frame
from router_svc.adapters.segments import READ_BYTES, segment_numbers, segment_path
from router_svc.adapters.spool import Spool, SpoolLimits

LIMITS = SpoolLimits(segment_bytes=400, total_bytes=1 << 20)
MANY = 24  # records that fill some segments more than are kept as spare ones


def a_record(number: int, *, size: int = 50) -> OutboxRecord:
    headers = (("ce_id", f"id-{number}"), ("traceparent", "00-a-b-01"))
    return OutboxRecord(topic="inference.rated", key=f"key-{number}".encode(), value=b"v" * size, headers=headers)


def claim(root: Path, limits: SpoolLimits = LIMITS) -> Spool:
    return Spool.claim(root, limits=limits)


def drain(spool: Spool, limit: int = 3) -> list[OutboxRecord]:
    drained: list[OutboxRecord] = []
    while True:
        records, position = spool.read(limit)
        spool.commit(position, count=len(records))
        if not records:
            return drained
        drained += records


def claim_copy(spool: Spool, root: Path) -> Spool:
    """What another process would find, were this one killed now."""
    shutil.rmtree(root, ignore_errors=True)
    folder = root / "worker-0"
    folder.mkdir(parents=True)
    for file in spool.folder.iterdir():
        with suppress(FileNotFoundError):  # a thread deletes segments meanwhile
            shutil.copy(file, folder)
    return claim(root)


def bytes_of_segments(spool: Spool) -> int:
    """Of closed files, and of the records of the last one, which may hold more of a segment that it was before."""
    *closed, last = segment_numbers(spool.folder)
    content, size = segment_path(spool.folder, last).read_bytes(), 0
    while (frame := decode_frame(content, size, last)).verdict is Verdict.WHOLE:
        size += frame.size
    return size + sum(segment_path(spool.folder, number).stat().st_size for number in closed)


def fill(spool: Spool, *, reserved: bool) -> None:
    with suppress(SpoolFull):
        while True:
            spool.append([a_record(0)], reserved=reserved)


def a_spool_of_segments(root: Path) -> Spool:
    spool = claim(root)
    for number in range(MANY):
        spool.append([a_record(number)])
    return spool


def refuse(*_: object, **__: object) -> None:
    raise OSError(errno.EIO, "rotten")


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


class TestReading:
    @pytest.mark.parametrize("size", [0, 4095, 4096, 70_000])
    @pytest.mark.parametrize("together", [1, 3, 400])
    async def test_another_process_reads_what_was_written_however_long(
        self, tmp_path: Path, size: int, together: int
    ) -> None:
        limits = SpoolLimits(segment_bytes=1 << 30, total_bytes=1 << 30)
        records = [a_record(number, size=size) for number in range(together)]
        spool = claim(tmp_path, limits)
        spool.append(records)
        spool.close()
        assert drain(claim(tmp_path, limits), limit=1000) == records

    async def test_gives_back_what_was_appended_in_order(self, tmp_path: Path) -> None:
        spool = claim(tmp_path)
        records = [a_record(number) for number in range(20)]
        for record in records:
            spool.append([record])
        await spool.sync()
        assert len(segment_numbers(spool.folder)) > 1
        assert spool.pending == 20
        assert drain(spool) == records
        assert spool.pending == 0
        spool.close()

    async def test_reads_again_what_was_not_committed(self, tmp_path: Path) -> None:
        spool = claim(tmp_path)
        spool.append([a_record(1), a_record(2)])
        assert spool.read(10)[0] == spool.read(10)[0] == [a_record(1), a_record(2)]
        spool.close()

    async def test_follows_what_is_appended_later(self, tmp_path: Path) -> None:
        spool = claim(tmp_path)
        for number in range(30):
            spool.append([a_record(number)])
            assert drain(spool) == [a_record(number)]
        await spool.sync()
        spool.close()

    async def test_reads_a_record_that_is_larger_than_a_block(self, tmp_path: Path) -> None:
        spool = claim(tmp_path)
        spool.append([a_record(1, size=700_000), a_record(2)])
        assert drain(spool) == [a_record(1, size=700_000), a_record(2)]
        spool.close()

    @pytest.mark.parametrize("restarted", [False, True])
    async def test_reads_long_records_in_parts_that_fit_into_memory(self, tmp_path: Path, *, restarted: bool) -> None:
        limits = SpoolLimits(segment_bytes=1 << 30, total_bytes=1 << 30)
        records = [a_record(number, size=100_000) for number in range(40)]
        spool = claim(tmp_path, limits)
        for record in records:
            spool.append([record])
        if restarted:
            spool.close()
            spool = claim(tmp_path, limits)
        first, _ = spool.read(1000)
        assert READ_BYTES <= sum(len(record.value or b"") for record in first) < 2 * READ_BYTES
        assert drain(spool, limit=1000) == records
        spool.close()


class TestDeletion:
    async def test_deletes_segments_that_kafka_has_and_no_others(self, tmp_path: Path) -> None:
        spool = claim(tmp_path)
        for number in range(12):
            spool.append([a_record(number)])
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
        assert spool.size_bytes > before // 3  # what is to be deleted still takes up the disk
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


class TestOwnership:
    async def test_two_workers_have_two_folders(self, tmp_path: Path) -> None:
        first, second = claim(tmp_path), claim(tmp_path)
        assert first.folder != second.folder
        first.close()
        assert claim(tmp_path).folder == first.folder
        second.close()

    async def test_what_a_gone_worker_left_is_adopted_and_given_back(self, tmp_path: Path) -> None:
        first, second = claim(tmp_path), claim(tmp_path)
        for number in range(MANY):
            second.append([a_record(number)])
        second.close()
        orphans = Spool.claim_orphans(tmp_path, limits=LIMITS)
        assert [orphan.folder for orphan in orphans] == [second.folder]
        assert drain(orphans[0]) == [a_record(number) for number in range(MANY)]
        await orphans[0].retire()
        assert sorted(path.name for path in second.folder.iterdir()) == ["lock", "position"]
        heir = claim(tmp_path)
        heir.append([a_record(2)])
        assert drain(heir) == [a_record(2)]
        heir.close()
        first.close()


class TestLimits:
    async def test_sheds_at_its_limit_but_keeps_room_for_ratings(self, tmp_path: Path) -> None:
        spool = claim(tmp_path, SpoolLimits(segment_bytes=1 << 20, total_bytes=10_000))
        fill(spool, reserved=False)
        shed_at = spool.size_bytes
        assert 8_500 < shed_at <= 9_000
        spool.append([a_record(1)], reserved=True)
        fill(spool, reserved=True)
        assert 9_500 < spool.size_bytes <= 10_000
        spool.close()

    async def test_takes_a_batch_as_a_whole_or_not_at_all(self, tmp_path: Path) -> None:
        spool = claim(tmp_path, SpoolLimits(segment_bytes=1 << 20, total_bytes=1_000))
        with pytest.raises(SpoolFull):
            spool.append([a_record(number) for number in range(20)])
        assert drain(spool) == []
        spool.close()

    async def test_undoes_what_a_full_disk_took_in_part(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        spool = claim(tmp_path)
        spool.append([a_record(1)])
        whole = os.pwrite
        monkeypatch.setattr(os, "pwrite", lambda fd, content, offset: whole(fd, content[:10], offset))
        with pytest.raises(SpoolFull):
            spool.append([a_record(2)])
        monkeypatch.undo()
        spool.append([a_record(3)])
        assert drain(spool) == [a_record(1), a_record(3)]
        spool.close()

    async def test_undoes_what_a_full_disk_took_of_long_records(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        limits = SpoolLimits(segment_bytes=1 << 30, total_bytes=1 << 30)
        spool = claim(tmp_path, limits)
        spool.append([a_record(1)])
        whole, calls = os.pwritev, list[int]()

        def fill_up(fd: int, pieces: list[bytes], offset: int) -> int:
            calls.append(len(pieces))
            if len(calls) > 1:
                raise OSError(errno.ENOSPC, "full")
            return whole(fd, pieces, offset)

        monkeypatch.setattr(os, "pwritev", fill_up)
        with pytest.raises(SpoolFull):
            spool.append([a_record(number, size=5000) for number in range(500)])
        monkeypatch.undo()
        spool.append([a_record(3, size=100_000)])
        spool.close()
        assert drain(claim(tmp_path, limits)) == [a_record(1), a_record(3, size=100_000)]


class TestSync:
    async def test_callers_of_one_moment_share_a_flush(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        flushed: list[int] = []
        fsync = os.fsync
        monkeypatch.setattr(os, "fsync", lambda fd: (flushed.append(fd), fsync(fd)))
        spool = claim(tmp_path, SpoolLimits(segment_bytes=1 << 20, total_bytes=1 << 20))

        async def put(number: int) -> None:
            spool.append([a_record(number)])
            await spool.sync()

        await asyncio.gather(*(put(number) for number in range(50)))
        assert 2 <= len(flushed) <= 4  # file and folder, once or twice
        spool.close()

    @pytest.mark.parametrize("kafka_is_away", [False, True])
    async def test_what_kafka_lacks_is_flushed_and_nothing_else(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, kafka_is_away: bool
    ) -> None:
        flushed, fsync = set[int](), os.fsync

        def note(descriptor: int) -> None:
            flushed.add(os.fstat(descriptor).st_ino)
            fsync(descriptor)

        monkeypatch.setattr(os, "fsync", note)
        spool = claim(tmp_path)
        for number in range(MANY):
            spool.append([a_record(number)])
            if not kafka_is_away:
                drain(spool)
            await asyncio.sleep(0.04)
        closed = {segment_path(spool.folder, number).stat().st_ino for number in segment_numbers(spool.folder)[:-2]}
        assert len(closed) == (4 if kafka_is_away else 0)
        await asyncio.sleep(0.1)
        assert len(closed & flushed) >= 2 if kafka_is_away else not flushed
        spool.close()

    async def test_a_failing_disk_is_told_to_who_waits(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(_: int) -> None:
            raise OSError(5, "rotten")

        spool = claim(tmp_path)
        spool.append([a_record(1)])
        monkeypatch.setattr(os, "fsync", fail)
        with pytest.raises(SpoolFull):
            await spool.sync()
        monkeypatch.undo()
        await spool.sync()
        spool.close()

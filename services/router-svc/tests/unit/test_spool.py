"""The spool gives back what was put in, to whoever owns it, within its limits, and flushes it."""

import asyncio
import errno
import os
from pathlib import Path

import pytest
from spools import LIMITS, MANY, a_record, claim, drain, fill, refuse

from router_svc.adapters.failures import SpoolFull
from router_svc.adapters.segments import READ_BYTES, segment_numbers, segment_path
from router_svc.adapters.spool import Spool, SpoolLimits


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

    async def test_goes_on_after_a_disk_that_took_a_part_and_gives_none_back(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        spool = claim(tmp_path)
        whole = os.pwrite
        monkeypatch.setattr(os, "pwrite", lambda fd, content, offset: whole(fd, content[:90], offset))
        monkeypatch.setattr(os, "ftruncate", refuse)
        with pytest.raises(SpoolFull):
            spool.append([a_record(1)])
        monkeypatch.undo()
        spool.append([a_record(2)])
        spool.close()
        assert drain(claim(tmp_path)) == [a_record(2)]

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

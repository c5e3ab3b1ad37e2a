"""Logs in parts: what is read, what is not, and what hostile ones cost."""

import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

from trainer_svc.adapters import log_files
from trainer_svc.adapters.log_files import (
    BLOCK_BYTES,
    LONGEST_LINE_BYTES,
    PAGE_BYTES,
    LogTail,
    News,
    read_from,
    read_last,
)

LINES = st.lists(st.text(st.characters(exclude_characters="\n\r", codec="utf-8"), max_size=30), max_size=30)
on_disk = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
SPARSE_BYTES = 200 << 20


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log.txt"


@pytest.fixture
def a_huge_line(log: Path) -> Path:
    """200 MB without a line's end (zeros that take no room on disk), and a short line after them."""
    with log.open("wb") as file:
        file.truncate(SPARSE_BYTES)
        file.seek(0, os.SEEK_END)
        file.write(b"\nlast\n")
    return log


def peak_memory(act: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        act()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


class TestReadLast:
    def test_gives_the_last_lines_and_where_they_stand(self, log: Path) -> None:
        log.write_bytes(b"one\ntwo\nthree\n")
        part = read_last(log, 2, whole=False)
        assert (part.lines, part.start, part.end, part.size_bytes) == (("two", "three"), 4, 14, 14)

    def test_sets_a_line_apart_that_is_still_being_written(self, log: Path) -> None:
        log.write_bytes(b"one\ntwo\nthr")
        part = read_last(log, 5, whole=False)
        assert (part.lines, part.end, part.unfinished) == (("one", "two"), 8, "thr")

    def test_takes_it_for_a_line_once_nobody_writes(self, log: Path) -> None:
        log.write_bytes(b"one\nthr")
        part = read_last(log, 5, whole=True)
        assert (part.lines, part.end, part.unfinished) == (("one", "thr"), 7, "")

    @on_disk
    @given(written=LINES, count=st.integers(1, 40))
    def test_is_what_reading_everything_gives(self, log: Path, written: list[str], count: int) -> None:
        log.write_text("".join(f"{line}\n" for line in written))
        assert read_last(log, count, whole=False).lines == tuple(written[-count:])

    @on_disk
    @given(written=LINES, count=st.integers(1, 7))
    def test_walks_backwards_over_every_line_once(self, log: Path, written: list[str], count: int) -> None:
        log.write_text("".join(f"{line}\n" for line in written))
        seen: list[str] = []
        before: int | None = None
        while before != 0:
            part = read_last(log, count, before=before, whole=False)
            seen, before = [*part.lines, *seen], part.start
        assert seen == written

    def test_crosses_blocks(self, log: Path) -> None:
        written = [f"{number:05} {'x' * 100}" for number in range(5_000)]
        log.write_text("\n".join(written) + "\n")
        assert log.stat().st_size > 8 * BLOCK_BYTES
        assert read_last(log, 3_000, whole=False).lines == tuple(written[-3_000:])

    def test_reads_little_of_a_large_file(self, log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        log.write_text("a line like many\n" * 1_000_000)
        read: list[int] = []
        original = os.pread

        def pread(file: int, length: int, offset: int) -> bytes:
            read.append(length)
            return original(file, length, offset)

        monkeypatch.setattr(log_files.os, "pread", pread)
        read_last(log, 200, whole=False)
        assert sum(read) <= BLOCK_BYTES

    def test_of_no_file_is_empty(self, log: Path) -> None:
        assert read_last(log, 5, whole=False) == read_from(log, 9, lines=5, whole=False) == log_files.LogPart()

    def test_does_not_wait_for_a_pipe_of_that_name(self, log: Path) -> None:
        os.mkfifo(log)
        assert read_last(log, 5, whole=False) == log_files.LogPart()


class TestReadFrom:
    @on_disk
    @given(written=LINES, count=st.integers(1, 7))
    def test_walks_forwards_over_every_line_once(self, log: Path, written: list[str], count: int) -> None:
        log.write_text("".join(f"{line}\n" for line in written))
        seen: list[str] = []
        part = read_from(log, 0, lines=count, whole=False)
        while part.lines:
            seen += part.lines
            part = read_from(log, part.end, lines=count, whole=False)
        assert seen == written

    def test_beyond_the_end_is_empty_and_says_where_the_end_is(self, log: Path) -> None:
        log.write_bytes(b"one\n")
        part = read_from(log, 1 << 62, lines=5, whole=False)
        assert (part.lines, part.end, part.size_bytes) == ((), 4, 4)


class TestHostileLogs:
    @pytest.mark.usefixtures("a_huge_line")
    @pytest.mark.parametrize("before", [None, SPARSE_BYTES // 2])
    def test_the_end_of_a_huge_line_costs_a_page(self, log: Path, before: int | None) -> None:
        assert peak_memory(lambda: read_last(log, 10_000, before=before, whole=False)) < 8 * PAGE_BYTES

    @pytest.mark.usefixtures("a_huge_line")
    def test_a_huge_line_comes_in_pieces_and_the_next_one_by_itself(self, log: Path) -> None:
        part = read_last(log, 2, whole=False)
        assert part.lines[-1] == "last"
        assert len(part.lines[0]) <= LONGEST_LINE_BYTES

    @pytest.mark.usefixtures("a_huge_line")
    def test_a_follower_of_a_huge_line_holds_a_block_at_a_time(self, log: Path) -> None:
        tail = LogTail(log, position=0, last_lines=0)
        try:
            assert peak_memory(lambda: sum(len(tail.read(whole=False).lines) for _ in range(40))) < 8 * BLOCK_BYTES
        finally:
            tail.close()

    def test_pieces_of_a_long_line_cut_no_character(self, log: Path) -> None:
        text = "a" + "한글" * LONGEST_LINE_BYTES
        log.write_text(f"{text}\n")
        part = read_from(log, 0, lines=1_000, whole=False)
        assert len(part.lines) > 2
        assert "".join(part.lines) == text

    def test_what_is_no_utf8_is_shown_as_such(self, log: Path) -> None:
        log.write_bytes(b"\xff\xfe\nok\n" + b"\x80" * (LONGEST_LINE_BYTES + 10) + b"\n")
        lines = read_from(log, 0, lines=10, whole=False).lines
        assert lines[:2] == ("\ufffd\ufffd", "ok")
        assert set("".join(lines[2:])) == {"\ufffd"}


class TestLogTail:
    @pytest.fixture
    def follow(self, log: Path) -> Callable[..., LogTail]:
        def begin(position: int | None = 0, *, last_lines: int = 0) -> LogTail:
            return LogTail(log, position=position, last_lines=last_lines)

        return begin

    def test_gives_what_was_written_since(self, log: Path, follow: Callable[..., LogTail]) -> None:
        log.write_bytes(b"one\n")
        tail = follow()
        assert tail.read(whole=False) == News(lines=("one",), end=4)
        assert tail.read(whole=False) == News(end=4)
        with log.open("ab") as file:
            file.write(b"two\nthr")
        assert tail.read(whole=False) == News(lines=("two",), end=8)
        assert tail.read(whole=True) == News(lines=("thr",), end=11)
        tail.close()

    def test_begins_so_many_lines_before_the_end(self, log: Path, follow: Callable[..., LogTail]) -> None:
        log.write_bytes(b"one\ntwo\nthree\n")
        tail = follow(None, last_lines=2)
        assert tail.read(whole=False).lines == ("two", "three")
        tail.close()

    def test_waits_for_a_log_that_appears_later_and_passes_nothing_over(
        self, log: Path, follow: Callable[..., LogTail]
    ) -> None:
        tail = follow(None, last_lines=1)
        assert tail.read(whole=False) == News()
        log.write_bytes(b"one\ntwo\n")
        assert tail.read(whole=False) == News(lines=("one", "two"), end=8)
        tail.close()

    def test_of_a_log_that_was_cut_begins_again(self, log: Path, follow: Callable[..., LogTail]) -> None:
        log.write_bytes(b"one\ntwo\n")
        tail = follow()
        tail.read(whole=False)
        log.write_bytes(b"new\n")
        assert tail.read(whole=False) == News(lines=("new",), end=4, restarted=True)
        tail.close()

    def test_of_a_log_that_was_replaced_gives_the_rest_and_then_the_new_one(
        self, log: Path, follow: Callable[..., LogTail]
    ) -> None:
        log.write_bytes(b"one\n")
        tail = follow()
        tail.read(whole=False)
        with log.open("ab") as file:
            file.write(b"two\nthr")
        log.rename(log.with_suffix(".1"))
        assert tail.read(whole=False) == News(lines=("two",), end=8)
        assert tail.read(whole=False) == News(end=8)
        log.write_bytes(b"another log that is longer than the first\n")
        assert tail.read(whole=False).lines == ("thr",)
        assert tail.read(whole=False) == News(
            lines=("another log that is longer than the first",), end=42, restarted=True
        )
        tail.close()

    def test_that_goes_on_past_the_end_begins_again(self, log: Path, follow: Callable[..., LogTail]) -> None:
        log.write_bytes(b"one\n")
        tail = follow(1_000)
        assert tail.read(whole=False) == News(lines=("one",), end=4, restarted=True)
        tail.close()

    def test_holds_one_file_and_gives_it_back(self, log: Path, follow: Callable[..., LogTail]) -> None:
        log.write_bytes(b"one\n")
        before = open_files()
        tail = follow()
        for _ in range(5):
            tail.read(whole=False)
        assert open_files() == before + 1
        tail.close()
        assert open_files() == before

"""Lines that wait in a file, which several processes write at once."""

import multiprocessing
import pickle
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path

import numpy as np
import pytest

from dataset_svc.adapters.line_files import LineFile, copy_lines
from dataset_svc.adapters.nameless_files import nameless_file, path_of
from dataset_svc.domain.kept_lines import Lines, LinesInMemory

ROUNDS = 200


@pytest.fixture
def line_file() -> Iterator[LineFile]:
    with nameless_file() as file:
        yield LineFile(path_of(file))


@pytest.mark.parametrize("kind", ["file", "memory"])
def test_what_was_put_aside_is_read_by_its_place(line_file: LineFile, kind: str) -> None:
    lines: Lines = line_file if kind == "file" else LinesInMemory()
    written = [b"one\n", "둘\n".encode(), b"", b"four\n"]
    places = [lines.add(line) for line in written]
    assert places == [0, *accumulate(map(len, written[:-1]))]
    assert [lines.read(place, len(line)) for place, line in zip(places, written, strict=True)] == written


def test_lines_are_copied_in_any_order_to_a_place_in_another_file(line_file: LineFile, tmp_path: Path) -> None:
    written = [b"one\n", "둘\n".encode(), b"three\n", b"four\n", b"five\n"]
    places = np.array([[line_file.add(line), len(line)] for line in written], dtype=np.int64)
    order = [3, 4, 1, 2, 0]
    expected = b"".join(written[place] for place in order)
    assert line_file.read_all(places[order]) == expected
    assert line_file.read_all(places[:0]) == b""
    other = tmp_path / "other"
    other.write_bytes(b"before\n")
    copy_lines(line_file, places[order], other, 7)
    assert other.read_bytes() == b"before\n" + expected


def test_processes_that_write_at_once_tear_nothing(line_file: LineFile) -> None:
    with multiprocessing.get_context("fork").Pool(3) as pool:
        found = pool.map(put_many, [(line_file, byte) for byte in b"abc"], chunksize=1)
    for byte, places in zip(b"abc", found, strict=True):
        assert len(places) == ROUNDS
        assert all(line_file.read(place, size) == bytes([byte]) * size for place, size in places)


def put_many(asked: tuple[LineFile, int]) -> list[tuple[int, int]]:
    lines, byte = asked
    return [(lines.add(bytes([byte]) * size), size) for size in range(1, ROUNDS + 1)]


def test_a_full_disk_is_an_error(line_file: LineFile) -> None:
    full = LineFile(Path("/dev/full"))
    with pytest.raises(OSError, match="No space left"):
        full.add(b"one\n")
    first_byte = line_file.add(b"two\n")
    with pytest.raises(OSError, match="No space left"):
        copy_lines(line_file, np.array([[first_byte, 4]]), Path("/dev/full"), 0)
    assert pickle.loads(pickle.dumps(line_file)).add(b"three\n") == 4

"""Lines that wait in a file, which several processes write at once."""

import multiprocessing
import pickle
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path

import pytest

from dataset_svc.adapters.line_files import LineFile
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
    assert pickle.loads(pickle.dumps(line_file)).add(b"two\n") == 0

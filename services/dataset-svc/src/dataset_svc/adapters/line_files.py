"""Lines of samples in a file that several processes write and read at once."""

import os
from itertools import repeat
from pathlib import Path
from typing import Self
from weakref import finalize

import numpy as np
from numpy.typing import NDArray


class LineFile:
    """Lines in a file, which whoever made it keeps open; pickled, it is opened anew where it arrives.

    What one process adds is never torn by another: the kernel appends under a lock of the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._number = os.open(path, os.O_RDWR | os.O_APPEND)
        finalize(self, os.close, self._number)

    def __reduce__(self) -> tuple[type[Self], tuple[Path]]:
        return type(self), (self._path,)

    def add(self, lines: bytes) -> int:
        """Puts lines aside; gives the place of the first byte.

        Raises:
            OSError: there is no room for them.
        """
        if os.write(self._number, lines) < len(lines):  # of a file the kernel takes less only where the disk is full
            raise OSError("the disk is full")
        return os.lseek(self._number, 0, os.SEEK_CUR) - len(lines)

    def read(self, first_byte: int, size_bytes: int) -> bytes:
        return os.pread(self._number, size_bytes, first_byte)

    def read_all(self, places: NDArray[np.int64]) -> bytes:
        """Lines in the order of their places, first byte and size of each `[lines, 2]`, as one piece.

        Lines that follow each other in the file as well are read together.
        """
        if not len(places):
            return b""
        firsts, ends = places[:, 0], places.sum(axis=1)
        cuts = np.flatnonzero(firsts[1:] != ends[:-1]) + 1
        begins = firsts[np.r_[0, cuts]]
        sizes = ends[np.r_[cuts, len(places)] - 1] - begins
        return b"".join(map(os.pread, repeat(self._number), sizes.tolist(), begins.tolist()))


def copy_lines(lines: LineFile, places: NDArray[np.int64], path: Path, first_byte: int) -> None:
    """Copies lines to a place in another file.

    Raises:
        OSError: there is no room for them.
    """
    content = lines.read_all(places)
    with path.open("r+b", buffering=0) as file:
        if os.pwrite(file.fileno(), content, first_byte) < len(content):
            raise OSError("the disk is full")

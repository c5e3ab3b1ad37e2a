"""Lines of samples in a file that several processes write and read at once."""

import os
from pathlib import Path
from typing import Self
from weakref import finalize


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

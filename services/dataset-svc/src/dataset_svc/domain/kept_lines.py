"""Where lines of samples wait while a version is made of them: they weigh more than all that is decided by."""

from typing import Protocol


class Lines(Protocol):
    """Lines that were put aside, by where they begin."""

    def add(self, lines: bytes) -> int:
        """Puts lines aside, one after the other; gives the place of the first byte."""
        ...

    def read(self, first_byte: int, size_bytes: int) -> bytes: ...


class LinesInMemory:
    """For a few of them."""

    def __init__(self) -> None:
        self._content = bytearray()

    def add(self, lines: bytes) -> int:
        first_byte = len(self._content)
        self._content += lines
        return first_byte

    def read(self, first_byte: int, size_bytes: int) -> bytes:
        return bytes(memoryview(self._content)[first_byte : first_byte + size_bytes])

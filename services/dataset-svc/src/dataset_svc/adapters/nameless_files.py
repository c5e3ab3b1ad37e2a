"""Files without a name: what they hold may be personal, and is gone when they are closed, whatever ends the process."""

import asyncio
import os
import tempfile
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import IO


@contextmanager
def nameless_file() -> Generator[IO[bytes]]:
    with tempfile.TemporaryFile(prefix="dataset-") as file:
        yield file


@asynccontextmanager
async def nameless_file_aside() -> AsyncGenerator[IO[bytes]]:
    """The same where others must not wait: to forget some hundred megabytes takes the kernel most of a second."""
    file = await asyncio.to_thread(tempfile.TemporaryFile, prefix="dataset-")
    try:
        yield file
    finally:
        await asyncio.to_thread(file.close)


def path_of(file: IO[bytes]) -> Path:
    """Where this process and its children can open the file while it lives; each gets a position of its own."""
    file.flush()
    return Path(f"/proc/{os.getpid()}/fd/{file.fileno()}")


def piece_of(file: IO[bytes], first_byte: int, size_bytes: int) -> bytes:
    """Some bytes of the file, wherever it stands.

    Raises:
        EOFError: it does not have so many.
    """
    pieces: list[bytes] = []
    while size_bytes:
        piece = os.pread(file.fileno(), size_bytes, first_byte)  # at most 2 GiB come at once
        if not piece:
            raise EOFError("the file is shorter than it should be")
        pieces.append(piece)
        first_byte += len(piece)
        size_bytes -= len(piece)
    return b"".join(pieces)

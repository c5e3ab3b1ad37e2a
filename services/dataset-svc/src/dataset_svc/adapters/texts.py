"""A file's bytes as UTF-8 text, unpacked and without byte order mark, chunk by chunk and bounded."""

import codecs
import io
from collections.abc import Iterator
from typing import IO

import pyarrow as pa

from dataset_svc.domain.sources.formats import Compression, Encoding
from loopwright.errors import Invalid

CHUNK_BYTES = 1 << 18
_MARKS = {Encoding.UTF_8: codecs.BOM_UTF8, Encoding.UTF_16_LE: codecs.BOM_UTF16_LE, Encoding.UTF_16_BE: codecs.BOM_UTF16_BE}  # fmt: skip


def unpacked(file: IO[bytes], compression: Compression, *, max_bytes: int) -> Iterator[bytes]:
    """The file from its start, unpacked.

    Raises:
        Invalid: it unpacks to more than is allowed (`source.too-large-unpacked`), or is damaged (`source.damaged`).
    """
    file.seek(0)
    given = 0
    try:
        for chunk in _chunks(file, compression):
            given += len(chunk)
            if given > max_bytes:
                raise Invalid("source.too-large-unpacked", f"the file unpacks to more than {max_bytes} bytes")
            yield chunk
    except (pa.ArrowException, OSError) as error:
        raise Invalid("source.damaged", f"the {compression} file is cut off or damaged") from error


def _chunks(file: IO[bytes], compression: Compression) -> Iterator[bytes]:
    if compression is Compression.NONE:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk
        return
    # Arrow's stream unpacks as much as is asked for and no more, so a bomb never lies unpacked in memory
    with pa.CompressedInputStream(lent(file), compression.value) as stream:
        while chunk := stream.read(CHUNK_BYTES):
            yield bytes(chunk)


class _Lent(io.RawIOBase):
    """A file that Arrow may read and not close."""

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__()
        self._file = file

    def read(self, size: int = -1, /) -> bytes:
        return self._file.read(size)

    def seek(self, offset: int, whence: int = 0, /) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True


def lent(file: IO[bytes]) -> pa.PythonFile:
    """The file as Arrow wants it; it stays open when Arrow is done."""
    return pa.PythonFile(_Lent(file), mode="r")


def as_utf_8(chunks: Iterator[bytes], encoding: Encoding) -> Iterator[bytes]:
    """The text in UTF-8 without byte order mark; what is no text stays invalid, so that its record alone is refused."""
    plain = _without_mark(chunks, _MARKS.get(encoding, b""))
    if encoding is Encoding.UTF_8:
        yield from plain
        return
    keep_invalid = "surrogateescape" if encoding is Encoding.CP949 else "surrogatepass"
    decoder = codecs.getincrementaldecoder(encoding)("surrogateescape" if encoding is Encoding.CP949 else "replace")
    for chunk in plain:
        yield decoder.decode(chunk).encode("utf-8", keep_invalid)
    yield decoder.decode(b"", final=True).encode("utf-8", keep_invalid)


def _without_mark(chunks: Iterator[bytes], mark: bytes) -> Iterator[bytes]:
    head = b""
    for chunk in chunks:
        head += chunk
        if len(head) >= len(mark):
            break
    yield head.removeprefix(mark)
    yield from chunks

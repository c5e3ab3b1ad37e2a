"""What was done to each sample on its way into a version, as a file of its own beside the version."""

from collections.abc import Iterable

import cramjam
import msgspec


class SampleOrigin(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One sample's way in.

    Attributes:
        source_line: Line of the source that it was read from, counted from 1; None if the source has no lines.
        masked_kinds: Kinds of personal data that were masked in it.
        document_id: Document that it was generated from.
        chunk: Part of that document, counted from 0.
    """

    sample_id: str
    source_line: int | None = None
    masked_kinds: tuple[str, ...] = ()
    document_id: str | None = None
    chunk: int | None = None


_decoder = msgspec.msgpack.Decoder(tuple[SampleOrigin, ...])


def encode_origins(origins: Iterable[SampleOrigin]) -> bytes:
    """The file, equal for equal origins in whatever order."""
    ordered = sorted(origins, key=lambda origin: origin.sample_id)
    return bytes(cramjam.zstd.compress(msgspec.msgpack.encode(ordered), level=1))


def decode_origins(content: bytes) -> tuple[SampleOrigin, ...]:
    return _decoder.decode(bytes(cramjam.zstd.decompress(content)))

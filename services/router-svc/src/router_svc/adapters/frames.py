"""How a record lies in a spool segment: length, XXH3 (64 bits), msgpack. A torn or rotten record is recognised by either.

The number of the segment is the checksum's seed: what a file holds of a segment that it was before is not taken for a record.
"""

import struct
from dataclasses import dataclass
from enum import Enum
from typing import Final

import msgspec
import xxhash

from loopwright.contracts.envelope import Headers
from loopwright.outbox import OutboxRecord

_HEAD = struct.Struct("<IQ")
HEAD_BYTES: Final = _HEAD.size
_COPIED_BYTES: Final = 4096  # of a value; copying a larger one costs more than to leave it where it is
_VALUE_HEAD: Final = struct.Struct(">BI")  # msgpack: bin 32
_BIN_32: Final = 0xC6
_FOUR: Final = b"\x94"  # msgpack: array of four

_encode: Final = msgspec.msgpack.Encoder().encode
_pack_head: Final = _HEAD.pack
_hash: Final = xxhash.xxh3_64_intdigest
_decoder = msgspec.msgpack.Decoder(tuple[str, bytes | None, bytes | None, Headers])


class Verdict(Enum):
    """What stands at a place of a segment."""

    WHOLE = "whole"
    END = "end"  # nothing was written after it
    PARTIAL = "partial"  # its end is not there: not read yet, not written yet, or torn
    DAMAGED = "damaged"  # it is all there but is not what was written


@dataclass(frozen=True, slots=True)
class Frame:
    """One look at a place of a segment.

    Attributes:
        size: Bytes of the whole frame; of a partial one, bytes that are needed to say more.
    """

    verdict: Verdict
    size: int
    record: OutboxRecord | None = None


def encode_frame(record: OutboxRecord, segment: int = 0) -> bytes:
    payload = _encode((record.topic, record.key, record.value, record.headers))
    return _pack_head(len(payload), _hash(payload, segment)) + payload


def end_mark(segment: int) -> bytes:
    """What stands after the last record of a segment whose file goes on: a frame of nothing."""
    return _pack_head(0, _hash(b"", segment))


def frame_pieces(record: OutboxRecord, segment: int) -> list[bytes]:
    """What `decode_frame` reads, in pieces: a long value is one of them as it is."""
    value = record.value
    if value is None or len(value) < _COPIED_BYTES:
        return [encode_frame(record, segment)]
    before = b"".join((_FOUR, _encode(record.topic), _encode(record.key), _VALUE_HEAD.pack(_BIN_32, len(value))))
    after = _encode(record.headers)
    checksum = xxhash.xxh3_64(before, segment)
    checksum.update(value)
    checksum.update(after)
    return [_pack_head(len(before) + len(value) + len(after), checksum.intdigest()) + before, value, after]


def decode_frame(block: bytes, offset: int, segment: int = 0) -> Frame:
    """Reads the frame that begins at `offset`."""
    if len(block) - offset < HEAD_BYTES:
        return Frame(Verdict.PARTIAL, HEAD_BYTES)
    length, checksum = _HEAD.unpack_from(block, offset)
    size = HEAD_BYTES + length
    payload = block[offset + HEAD_BYTES : offset + size]
    if len(payload) < length:
        return Frame(Verdict.PARTIAL, size)
    is_right = _hash(payload, segment) == checksum
    if length == 0:  # no record is empty: zeros are what a power cut leaves
        return Frame(Verdict.END if is_right else Verdict.PARTIAL, size)
    if not is_right:
        return Frame(Verdict.DAMAGED, size)
    topic, key, value, headers = _decoder.decode(payload)
    return Frame(Verdict.WHOLE, size, OutboxRecord(topic=topic, key=key, value=value, headers=headers))

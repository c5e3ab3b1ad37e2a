"""128-bit hashes of the lines of a file, all in one pass: SipHash-1-3 (Aumasson and Bernstein 2012), compiled.

Keyed, because users write what stands in the lines: who does not know the key can make no two lines collide. A line of
a version holds nothing volatile (no time, no run, no place), so a row is named by the whole of its line.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar, cast

import msgspec
import numpy as np
import numpy.typing as npt
from numba import njit, uint64

Words = npt.NDArray[np.uint64]
Spans = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]
F = TypeVar("F", bound=Callable[..., object])

KEY_BYTES = 16
_THREADS = 2
_ROUNDS, _LAST_ROUNDS = 1, 3
# a span is read in words that may overhang its end by two of them
_OVERHANG_BYTES = 24
_ID_PREFIX = b'{"sample_id":"'
_PREFIX: Bytes = np.frombuffer(_ID_PREFIX, dtype=np.uint8)


class _Named(msgspec.Struct):
    sample_id: str


_named = msgspec.json.Decoder(_Named)


@dataclass(frozen=True, kw_only=True)
class Lines:
    """Where the lines of a content lie.

    Attributes:
        starts: Offset of each line `[lines]`.
        lengths: Bytes of each line without its line end `[lines]`.
    """

    starts: Spans
    lengths: Spans


def _compiled(function: F) -> F:
    return cast("F", njit(nogil=True, cache=True, boundscheck=False)(function))


def cut(content: bytes) -> Lines:
    """The lines of a content that ends with a line end or is empty.

    Raises:
        ValueError: it does not end so.
    """
    if content and not content.endswith(b"\n"):
        raise ValueError("the last line has no end")
    words = np.frombuffer(content, dtype="<u8", count=len(content) // 8)
    # lines of 64 bytes and more in one pass, shorter ones in a second
    ends = np.empty(len(content) // 64 + 8, dtype=np.int64)
    found = _find_line_ends(words, ends)
    if found > len(ends):
        ends = np.empty(found, dtype=np.int64)
        _find_line_ends(words, ends)
    whole = len(words) * 8
    tail = [whole + place for place, byte in enumerate(content[whole:]) if byte == 0x0A]
    ends = np.concatenate((ends[:found], np.array(tail, dtype=np.int64)))
    starts = np.concatenate((np.zeros(1, dtype=np.int64), ends[:-1] + 1))[: len(ends)]
    return Lines(starts=starts, lengths=ends - starts)


def hash_spans(content: bytes, spans: Lines, key: bytes) -> Words:
    """Hashes `[spans, 2]` of spans in ascending order, each as two little-endian words.

    Args:
        key: 16 bytes; hashes of different keys cannot be compared.
    """
    return _hashes(content, spans, key, rounds=(_ROUNDS, _LAST_ROUNDS))


def _hashes(content: bytes, spans: Lines, key: bytes, *, rounds: tuple[int, int]) -> Words:
    key_words = np.frombuffer(key, dtype="<u8", count=2)
    hashes = np.empty((len(spans.starts), 2), dtype=np.uint64)
    words = np.frombuffer(content, dtype="<u8", count=len(content) // 8)
    ends = spans.starts + spans.lengths
    safe = int(np.searchsorted(ends, len(words) * 8 - _OVERHANG_BYTES, side="right"))
    cuts = [safe * part // _THREADS for part in range(_THREADS + 1)]

    def run(first: int, last: int) -> None:
        _hash_spans(words, spans.starts[first:last], spans.lengths[first:last], key_words, rounds, hashes[first:last])

    with ThreadPoolExecutor(_THREADS) as pool:
        list(pool.map(run, cuts[:-1], cuts[1:]))
    if safe < len(ends):
        start = int(spans.starts[safe])
        rest = content[start:] + bytes(_OVERHANG_BYTES + -(len(content) - start) % 8)
        rest_words = np.frombuffer(rest, dtype="<u8")
        _hash_spans(rest_words, spans.starts[safe:] - start, spans.lengths[safe:], key_words, rounds, hashes[safe:])
    return hashes


def hash_sample_ids(content: bytes, lines: Lines, key: bytes) -> Words:
    """Hashes `[lines, 2]` of the sample ids of lines.

    Raises:
        msgspec.DecodeError: a line is no object with a sample_id.
    """
    starts, lengths = np.empty_like(lines.starts), np.empty_like(lines.lengths)
    if _find_ids(np.frombuffer(content, np.uint8), lines.starts, lines.lengths, starts, lengths):
        return hash_spans(content, Lines(starts=starts, lengths=lengths), key)
    names = [
        sample_id_of(content[start : start + length]).encode()
        for start, length in zip(lines.starts.tolist(), lines.lengths.tolist(), strict=True)
    ]
    sizes = np.array([len(name) for name in names], dtype=np.int64)
    return hash_spans(b"".join(names), Lines(starts=np.cumsum(sizes) - sizes, lengths=sizes), key)


def sample_id_of(line: bytes) -> str:
    """The id that a line names.

    Raises:
        msgspec.DecodeError: the line is no object with a sample_id.
    """
    if line.startswith(_ID_PREFIX):
        end = line.find(b'"', len(_ID_PREFIX))
        name = line[len(_ID_PREFIX) : end]
        if end > 0 and b"\\" not in name:
            return name.decode()
    return _named.decode(line).sample_id


def match(known: Words, wanted: Words) -> Spans:
    """For each wanted hash its first place among the known ones, or -1 `[wanted]`."""
    slots = 1 << max(4, (2 * len(known)).bit_length())
    table = np.full(slots, -1, dtype=np.int64)
    places = np.empty(len(wanted), dtype=np.int64)
    _match(known, wanted, table, places)
    return places


@_compiled
def _find_line_ends(words: Words, ends: Spans) -> int:
    """How many line ends there are; as many as there is room for are noted."""
    # a word holds a line end where (x - 1) & ~x has the top bit of a byte set, x being the word xor ten in every byte
    ones, tops, tens = uint64(0x0101010101010101), uint64(0x8080808080808080), uint64(0x0A0A0A0A0A0A0A0A)
    found = 0
    for place in range(len(words)):
        word = words[place] ^ tens
        if ((word - ones) & ~word & tops) != 0:
            for byte in range(8):
                if (word >> uint64(8 * byte)) & uint64(255) == 0:
                    if found < len(ends):
                        ends[found] = place * 8 + byte
                    found += 1
    return found


@_compiled
def _find_ids(content: Bytes, starts: Spans, lengths: Spans, id_starts: Spans, id_lengths: Spans) -> bool:
    """False if a line does not begin with a plainly written id."""
    for row in range(len(starts)):
        first, end = starts[row] + len(_PREFIX), starts[row] + lengths[row]
        if first >= end:
            return False
        for place in range(len(_PREFIX)):
            if content[starts[row] + place] != _PREFIX[place]:
                return False
        last = first
        while last < end and content[last] not in (0x22, 0x5C):
            last += 1
        if last == end or content[last] == 0x5C:
            return False
        id_starts[row], id_lengths[row] = first, last - first
    return True


@_compiled
def _load(words: Words, offset: int) -> np.uint64:
    place, shift = offset >> 3, uint64((offset & 7) * 8)
    # shifting by 64 is undefined, hence the two steps
    return (words[place] >> shift) | ((words[place + 1] << uint64(1)) << (uint64(63) - shift))


@_compiled
def _mix(a: np.uint64, b: np.uint64, c: np.uint64, d: np.uint64) -> tuple[np.uint64, np.uint64, np.uint64, np.uint64]:
    """One round."""
    a = a + b
    b = ((b << uint64(13)) | (b >> uint64(51))) ^ a
    a = (a << uint64(32)) | (a >> uint64(32))
    c = c + d
    d = ((d << uint64(16)) | (d >> uint64(48))) ^ c
    a = a + d
    d = ((d << uint64(21)) | (d >> uint64(43))) ^ a
    c = c + b
    b = ((b << uint64(17)) | (b >> uint64(47))) ^ c
    c = (c << uint64(32)) | (c >> uint64(32))
    return a, b, c, d


@_compiled
def _hash_spans(
    words: Words, starts: Spans, lengths: Spans, key: Words, rounds: tuple[int, int], hashes: Words
) -> None:
    for row in range(len(starts)):
        start, length = starts[row], lengths[row]
        a, b = key[0] ^ uint64(0x736F6D6570736575), key[1] ^ uint64(0x646F72616E646F6D) ^ uint64(0xEE)
        c, d = key[0] ^ uint64(0x6C7967656E657261), key[1] ^ uint64(0x7465646279746573)
        for step in range(0, (length & ~7) + 8, 8):
            word = _load(words, start + step)
            if step + 8 > length:
                word &= (uint64(1) << uint64((length & 7) * 8)) - uint64(1)
                word |= uint64(length) << uint64(56)
            d ^= word
            for _ in range(rounds[0]):
                a, b, c, d = _mix(a, b, c, d)
            a ^= word
        c ^= uint64(0xEE)
        for half in range(2):
            for _ in range(rounds[1]):
                a, b, c, d = _mix(a, b, c, d)
            hashes[row, half] = a ^ b ^ c ^ d
            b ^= uint64(0xDD)


@_compiled
def _match(known: Words, wanted: Words, table: Spans, places: Spans) -> None:
    mask = uint64(len(table) - 1)
    for place in range(len(known)):
        slot = known[place, 0] & mask
        while table[slot] >= 0:
            other = table[slot]
            if known[other, 0] == known[place, 0] and known[other, 1] == known[place, 1]:
                break
            slot = (slot + uint64(1)) & mask
        if table[slot] < 0:
            table[slot] = place
    for place in range(len(wanted)):
        slot = wanted[place, 0] & mask
        found = -1
        while table[slot] >= 0:
            other = table[slot]
            if known[other, 0] == wanted[place, 0] and known[other, 1] == wanted[place, 1]:
                found = other
                break
            slot = (slot + uint64(1)) & mask
        places[place] = found

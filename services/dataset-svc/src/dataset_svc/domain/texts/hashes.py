"""SHA-256 (FIPS 180-4) of many messages at once, side by side in the lanes of vector registers.

Where the processor has no instructions for this hash, they would take several times as long one after the other.
"""
# numpy's scalars are the integers of compiled loops:
# pyright: reportArgumentType=false, reportReturnType=false, reportAssignmentType=false

import hashlib
import math
from collections.abc import Sequence
from itertools import islice
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from loopwright.compiling import compiled, compiled_inner

_LANES: Final = 16  # 32-bit words of the widest registers
_WORTHWHILE = 4  # lanes that must have work, for the work of idle ones is done too
_BLOCK: Final = 64
_ROUNDS: Final = 64
_WORDS: Final = 8
_SIZE = 4 * _WORDS
_LANE: Final = np.uint64(_LANES)

Bytes = NDArray[np.uint8]
Ints = NDArray[np.int64]
Words = NDArray[np.uint32]  # [places, lanes] in one dimension, so that the compiler sees the distances


def sha256s(messages: Sequence[bytes]) -> Bytes:
    """The hash of each message `[messages, 32]`."""
    sizes = np.fromiter(map(len, messages), dtype=np.int64, count=len(messages))
    ends = np.cumsum(sizes)
    return sha256s_within(b"".join(messages), ends - sizes, ends)


def sha256s_within(content: bytes, starts: Ints, ends: Ints) -> Bytes:
    """The same of messages that stand in one content."""
    sizes = ends - starts
    digests = np.empty((len(sizes), _SIZE), dtype=np.uint8)
    if sizes.sum() <= _WORTHWHILE * sizes.max(initial=0):
        for number, (start, end) in enumerate(zip(starts.tolist(), ends.tolist(), strict=True)):
            digests[number] = np.frombuffer(hashlib.sha256(content[start:end]).digest(), dtype=np.uint8)
    else:
        _digest(np.frombuffer(content, dtype=np.uint8), (starts, ends), np.argsort(sizes), digests)
    return digests


def in_hex(digests: Bytes) -> list[str]:
    """Each of them in lower-case hexadecimal digits.

    Args:
        digests: `[messages, bytes]`.
    """
    digits, size = digests.tobytes().hex(), 2 * digests.shape[1]
    return [digits[first : first + size] for first in range(0, len(digits), size)]


def _fractions(roots: Sequence[float]) -> Words:
    """The first 32 bits behind the point."""
    return np.array([int(root % 1 * 2**32) for root in roots], dtype=np.uint32)


_PRIMES = list(islice((one for one in range(2, 400) if all(one % less for less in range(2, one))), _ROUNDS))
_KEYS = _fractions([math.cbrt(prime) for prime in _PRIMES])
_BEGIN = _fractions([math.sqrt(prime) for prime in _PRIMES[:_WORDS]])


class _Lanes(NamedTuple):
    """What is hashed side by side.

    Attributes:
        messages: Which ones; -1 in idle lanes.
        whole: Blocks of each that its content fills; -1 in idle lanes.
        blocks: All blocks of each.
        lasts: Its blocks behind those, `[lanes, 2 * _BLOCK]` in one dimension.
    """

    messages: Ints
    whole: Ints
    blocks: Ints
    lasts: Bytes


@compiled
def _digest(content: Bytes, spans: tuple[Ints, Ints], order: Ints, digests: Bytes) -> None:
    """Writes the hashes `[messages, 32]`.

    Args:
        spans: Where messages start, and where they end.
        order: Of the messages; those that come together should be of like size.
    """
    numbers, lasts = np.zeros((3, _LANES), dtype=np.int64), np.zeros(2 * _BLOCK * _LANES, dtype=np.uint8)
    lanes = _Lanes(numbers[0], numbers[1], numbers[2], lasts)
    state, before = np.zeros(_WORDS * _LANES, dtype=np.uint32), np.zeros(_WORDS * _LANES, dtype=np.uint32)
    words = np.zeros(_ROUNDS * _LANES, dtype=np.uint32)
    for first in range(0, len(order), _LANES):
        for place in range(_WORDS * _LANES):
            state[place] = _BEGIN[place // _LANES]
        for block in range(_fill(content, spans, (order, first), lanes)):
            _load_all(content, spans[0], (lanes, block), words)
            _expand(words)
            for place in range(_WORDS * _LANES):
                before[place] = state[place]
            _mix(state, words, _KEYS)
            for place in range(_WORDS * _LANES):
                state[place] = np.uint32(state[place] + before[place])
            _store_done(state, (lanes, block), digests)


@compiled_inner
def _fill(content: Bytes, spans: tuple[Ints, Ints], orders: tuple[Ints, int], lanes: _Lanes) -> int:
    """Takes the next messages; gives the most blocks of one."""
    order, first = orders
    most = 0
    for place in range(len(lanes.lasts)):
        lanes.lasts[place] = 0
    for lane in range(_LANES):
        lanes.messages[lane] = lanes.whole[lane] = -1
        lanes.blocks[lane] = 0
        if first + lane < len(order):
            message = order[first + lane]
            start, end = spans[0][message], spans[1][message]
            lanes.messages[lane], lanes.whole[lane] = message, (end - start) // _BLOCK
            lanes.blocks[lane] = lanes.whole[lane] + _pad(content, (start, end), lanes.lasts, 2 * _BLOCK * lane)
            most = max(most, lanes.blocks[lane])
    return most


@compiled_inner
def _load_all(content: Bytes, starts: Ints, block_of: tuple[_Lanes, int], words: Words) -> None:
    """Takes over a block of each message; one that has ended goes on with its old words, and nobody looks at it."""
    lanes, block = block_of
    for lane in range(_LANES):
        if block < lanes.whole[lane]:
            _load(content, starts[lanes.messages[lane]] + _BLOCK * block, words, lane)
        elif block < lanes.blocks[lane]:
            _load(lanes.lasts, 2 * _BLOCK * lane + _BLOCK * (block - lanes.whole[lane]), words, lane)


@compiled_inner
def _store_done(state: Words, block_of: tuple[_Lanes, int], digests: Bytes) -> None:
    """Writes the hashes of the messages that end with this block."""
    lanes, block = block_of
    for lane in range(_LANES):
        if block + 1 == lanes.blocks[lane]:
            _store(state, lane, digests, lanes.messages[lane])


@compiled_inner
def _pad(content: Bytes, span: tuple[int, int], lasts: Bytes, place: int) -> int:
    """Writes what is behind the last whole block of a message, with padding and size; how many blocks that makes."""
    start, end = span
    rest = (end - start) % _BLOCK
    for byte in range(rest):
        lasts[place + byte] = content[end - rest + byte]
    lasts[place + rest] = 0x80
    blocks = 1 if rest + 9 <= _BLOCK else 2
    bits = 8 * (end - start)
    for byte in range(1, 9):
        lasts[place + blocks * _BLOCK - byte] = bits & 0xFF
        bits >>= 8
    return blocks


@compiled_inner
def _load(content: Bytes, start: int, words: Words, lane: int) -> None:
    """Takes over the sixteen words of a block, whose first byte is the highest."""
    for word in range(_BLOCK // 4):
        place, value = np.uint64(start + 4 * word), np.uint32(0)
        for byte in range(4):
            value = np.uint32(value << np.uint32(8)) | np.uint32(content[place + np.uint64(byte)])
        words[np.uint64(_LANES * word + lane)] = value


@compiled_inner
def _store(state: Words, lane: int, digests: Bytes, message: int) -> None:
    for word in range(_WORDS):
        value = state[_LANES * word + lane]
        for byte in range(4):
            digests[message, 4 * word + byte] = (value >> np.uint32(24 - 8 * byte)) & np.uint32(0xFF)


@compiled_inner
def _expand(words: Words) -> None:
    """All 64 words of a block, from its sixteen."""
    for number in range(_BLOCK // 4, _ROUNDS):
        for lane in range(_LANES):
            place = _LANE * np.uint64(number) + np.uint64(lane)
            early, late = words[place - 15 * _LANE], words[place - 2 * _LANE]
            early = _turned(early, 7) ^ _turned(early, 18) ^ np.uint32(early >> np.uint32(3))
            late = _turned(late, 17) ^ _turned(late, 19) ^ np.uint32(late >> np.uint32(10))
            words[place] = words[place - 16 * _LANE] + words[place - 7 * _LANE] + early + late


@compiled_inner
def _mix(state: Words, words: Words, keys: Words) -> None:
    """The rounds, eight at a time, after which every word of the state is in its own place again."""
    for first in range(0, _ROUNDS, 8):
        k0, k1, k2, k3 = keys[first], keys[first + 1], keys[first + 2], keys[first + 3]
        k4, k5, k6, k7 = keys[first + 4], keys[first + 5], keys[first + 6], keys[first + 7]
        for one in range(_LANES):
            lane = np.uint64(one)
            word = _LANE * np.uint64(first) + lane
            a, b, c, d = state[lane], state[lane + _LANE], state[lane + 2 * _LANE], state[lane + 3 * _LANE]
            e, f, g = state[lane + 4 * _LANE], state[lane + 5 * _LANE], state[lane + 6 * _LANE]
            h = state[lane + 7 * _LANE]
            d, h = _round((a, b, c, d, e, f, g, h), k0 + words[word])
            c, g = _round((h, a, b, c, d, e, f, g), k1 + words[word + _LANE])
            b, f = _round((g, h, a, b, c, d, e, f), k2 + words[word + 2 * _LANE])
            a, e = _round((f, g, h, a, b, c, d, e), k3 + words[word + 3 * _LANE])
            h, d = _round((e, f, g, h, a, b, c, d), k4 + words[word + 4 * _LANE])
            g, c = _round((d, e, f, g, h, a, b, c), k5 + words[word + 5 * _LANE])
            f, b = _round((c, d, e, f, g, h, a, b), k6 + words[word + 6 * _LANE])
            e, a = _round((b, c, d, e, f, g, h, a), k7 + words[word + 7 * _LANE])
            state[lane], state[lane + _LANE], state[lane + 2 * _LANE], state[lane + 3 * _LANE] = a, b, c, d
            state[lane + 4 * _LANE], state[lane + 5 * _LANE], state[lane + 6 * _LANE] = e, f, g
            state[lane + 7 * _LANE] = h


@compiled_inner
def _round(state: tuple[np.uint32, ...], more: np.uint32) -> tuple[np.uint32, np.uint32]:
    """What the fourth and the last word of the state become."""
    a, b, c, d, e, f, g, h = state
    chosen, major = np.uint32((e & f) ^ (~e & g)), np.uint32((a & b) | (c & (a | b)))
    low = np.uint32(h + more + chosen + (_turned(e, 6) ^ _turned(e, 11) ^ _turned(e, 25)))
    return np.uint32(d + low), np.uint32(low + major + (_turned(a, 2) ^ _turned(a, 13) ^ _turned(a, 22)))


@compiled_inner
def _turned(word: np.uint32, bits: int) -> np.uint32:
    """To the right."""
    return np.uint32(word >> np.uint32(bits)) | np.uint32(word << np.uint32(32 - bits))

"""Remembers how many tokens a piece of text has, in a table of bounded size.

Pieces are compared byte by byte, so no two are ever taken for one another.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from loopwright.compiling import compiled, compiled_inner

PADDING = bytes(16)  # has to follow the content, which is read in words
FEWEST_SLOTS, MOST_SLOTS = 1 << 18, 1 << 20  # 10 and 40 MiB; half of the slots are filled at most
_STORE_PER_SLOT = 8
_LONGEST_BYTES = 128  # longer pieces hardly come twice
_PROBES = 64  # made-up text may aim at one place of the table
_LOW, _HIGH, _SIZE, _TOKENS = range(4)
_INLINE = 16
_LOW_MASKS = np.array([(1 << 8 * min(size, 8)) - 1 for size in range(_INLINE + 1)], dtype=np.uint64)
_HIGH_MASKS = np.array([(1 << 8 * max(size - 8, 0)) - 1 for size in range(_INLINE + 1)], dtype=np.uint64)
_PRIMES = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F), np.uint64(0xFF51AFD7ED558CCD))
_HALF = np.uint64(32)

Bytes = NDArray[np.uint8]
Ints = NDArray[np.int64]


class Table(NamedTuple):
    """Open addressing with linear probing.

    Attributes:
        slots: `int64 [slots, 4]`: bytes 0 to 7 of a piece; bytes 8 to 15, or the place of a longer one in the store; size
            in bytes, 0 where there is no piece; tokens, below 0 while they are being counted.
        store: Pieces of more than 16 bytes, one after the other.
        used: Filled slots, and filled bytes of the store.
    """

    slots: Ints
    store: Bytes
    used: Ints


class Pieces(NamedTuple):
    """Texts as they were cut, see `pieces.py`.

    Attributes:
        content: UTF-8, then PADDING.
        offsets: Where texts begin, and the last one ends.
        ends: Where pieces end.
        firsts: Pieces before each text, and all of them.
    """

    content: Bytes
    offsets: Ints
    ends: Ints
    firsts: Ints


class Missing(NamedTuple):
    """What the table did not know.

    Attributes:
        pieces: By number, start and end of each, and its place in the table, -1 if it has none.
        met: Text and number, each time that one of them was met.
    """

    pieces: Ints
    met: Ints


def empty_table(*, slots: int = FEWEST_SLOTS) -> Table:
    """A table of so many slots (a power of two), half of which may be filled."""
    return Table(
        slots=np.zeros((slots, 4), dtype=np.int64),
        store=np.empty(slots * _STORE_PER_SLOT, dtype=np.uint8),
        used=np.zeros(2, dtype=np.int64),
    )


def with_room(table: Table, *, most_slots: int = MOST_SLOTS) -> Table:
    """The table itself, or an empty one in place of a full one: larger, as long as it may be."""
    if 2 * int(table.used[0]) < len(table.slots) and int(table.used[1]) + _LONGEST_BYTES <= len(table.store):
        return table
    return empty_table(slots=min(4 * len(table.slots), most_slots))


def settle(table: Table, places: Ints, tokens: NDArray[np.int32]) -> None:
    """Remembers what was counted of the pieces that `look_up` did not know; place -1 is nowhere."""
    kept = places >= 0
    table.slots[places[kept], _TOKENS] = tokens[kept]


@compiled
def look_up(pieces: Pieces, table: Table, tokens: NDArray[np.int32], missing: Missing) -> tuple[int, int]:
    """Writes the tokens of each text, as far as they are known.

    Args:
        pieces: What to look up.
        table: Takes in what it does not know, as long as it has room.
        tokens: As many as texts.
        missing: With as many rows as pieces.

    Returns:
        How many pieces are not known, each of which has to be given to `settle`, and how often they were met.
    """
    content, offsets, ends, firsts = pieces
    slots, mask = table.slots, np.uint64(len(table.slots) - 1)
    found, met, same, known = 0, 0, False, np.int64(0)
    for text in range(len(offsets) - 1):
        start, total = offsets[text], np.int64(0)
        for piece in range(firsts[text], firsts[text + 1]):
            size = ends[piece] - start
            inline = np.uint64(min(size, _INLINE))
            low, high = _word(content, start, _LOW_MASKS[inline]), _word(content, start + 8, _HIGH_MASKS[inline])
            mixed = _mixed(low, high, size)
            if size > _INLINE:
                mixed = _mixed_rest(content, (start, size), mixed)
            slot = mixed & mask
            # no function of its own: handing the table over for each piece would take longer than the search
            for _ in range(_PROBES):
                same = slots[slot, _SIZE] == size and slots[slot, _LOW] == low
                same = same and (size > _INLINE or slots[slot, _HIGH] == high)
                if same and size > _INLINE:
                    same = _same_rest(content, (start, size), table.store, slots[slot, _HIGH])
                if same or slots[slot, _SIZE] == 0:
                    break
                slot = (slot + np.uint64(1)) & mask
            if same:
                known = slots[slot, _TOKENS]
            else:
                known = -1 - found
                kept = _remember(content, (start, size), table, (np.int64(slot), low, high, known))
                missing.pieces[found, 0], missing.pieces[found, 1] = start, start + size
                missing.pieces[found, 2] = kept
                found += 1
            # written each time and only kept by a step of the count
            missing.met[met, 0], missing.met[met, 1] = text, -1 - known
            met += int(known < 0)
            total += max(known, 0)
            start += size
        tokens[text] = total
    return found, met


@compiled
def _remember(
    content: Bytes, piece: tuple[int, int], table: Table, entry: tuple[np.int64, np.int64, np.int64, int]
) -> int:
    """Its slot; -1 if it is too long, or there is no room."""
    slots, store, used = table
    (start, size), (slot, low, high, tokens) = piece, entry
    long, place = size > _INLINE, used[1]
    if slots[slot, _SIZE] > 0 or size > _LONGEST_BYTES or 2 * used[0] >= len(slots) or place + size > len(store):
        return -1
    slots[slot, _LOW], slots[slot, _HIGH] = low, place if long else high
    slots[slot, _SIZE], slots[slot, _TOKENS] = size, tokens
    used[0] += 1
    if long:
        store[place : place + size] = content[start : start + size]
        used[1] += size
    return int(slot)


@compiled_inner
def _same_rest(content: Bytes, piece: tuple[int, int], store: Bytes, place: int) -> bool:
    """Whether the bytes are those in the store; the first eight are known to be."""
    start, size = piece
    byte = 8
    while byte < size and store[place + byte] == content[start + byte]:
        byte += 1
    return byte >= size


@compiled_inner
def _mixed_rest(content: Bytes, piece: tuple[int, int], mixed: np.uint64) -> np.uint64:
    start, size = piece
    for byte in range(_INLINE, min(size, _LONGEST_BYTES)):
        mixed = (mixed ^ np.uint64(content[start + byte])) * _PRIMES[0]
    return mixed ^ (mixed >> _HALF)


@compiled
def _mixed(low: np.int64, high: np.int64, size: int) -> np.uint64:
    """As in MurmurHash3 (Appleby, public domain): every bit of the input moves the low bits of the output."""
    mixed = (np.uint64(low) * _PRIMES[0]) ^ ((np.uint64(high) + np.uint64(size)) * _PRIMES[1])
    mixed = (mixed ^ (mixed >> _HALF)) * _PRIMES[2]
    return mixed ^ (mixed >> _HALF)


@compiled_inner
def _word(content: Bytes, place: int, mask: np.uint64) -> np.int64:
    """Eight bytes, those outside the mask 0; compiled to one load."""
    word, first = np.uint64(0), np.uint64(place)
    for byte in range(8):
        word |= np.uint64(content[first + np.uint64(byte)]) << np.uint64(8 * byte)
    return np.int64(word & mask)

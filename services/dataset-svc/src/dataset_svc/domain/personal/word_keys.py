"""Hash tables of words that compiled loops look words up in; complete in itself, as `scanning.py` is."""
# numpy's scalars are the integers of compiled loops:
# pyright: reportArgumentType=false, reportReturnType=false

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from loopwright.compiling import compiled, compiled_inner

Codes = NDArray[np.uint32]
Ints = NDArray[np.int64]
Keys = NDArray[np.uint64]

_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
_ONE = np.uint64(1)


@compiled_inner
def _slot(keys: Keys, key: int) -> int:
    """Where a key is, or the empty slot where it would be; the table is never full and no key is 0."""
    mask = np.uint64(len(keys) - 1)
    mixed = key * _MULTIPLIER
    slot = (mixed ^ (mixed >> np.uint64(32))) & mask
    while keys[slot] != 0 and keys[slot] != key:
        slot = (slot + _ONE) & mask
    return np.int64(slot)


@compiled
def look_up(table: Keys, wanted: Keys) -> Ints:
    """Slots of keys in a table; -1 for those that it does not hold."""
    slots = np.empty(len(wanted), dtype=np.int64)
    for place in range(len(wanted)):
        slot = _slot(table, wanted[place])
        slots[place] = slot if table[slot] != 0 else -1
    return slots


@compiled
def put_all(table: Keys, wanted: Keys) -> Ints:
    """Puts keys into a table; gives the slot of each."""
    slots = np.empty(len(wanted), dtype=np.int64)
    for place in range(len(wanted)):
        slots[place] = _slot(table, wanted[place])
        table[slots[place]] = wanted[place]
    return slots


@compiled_inner
def _latin_key(codes: Codes, first: int, stop: int) -> int:
    key = np.uint64(0)
    for place in range(first, stop):
        key = (key + np.uint64(codes[place])) * _MULTIPLIER
        key ^= key >> np.uint64(29)
    return key | _ONE


def table_of(words: Iterable[str]) -> Keys:
    """A hash table of words for `capitalised`, at most a quarter full."""
    texts = sorted(set(words))
    starts = np.zeros(len(texts) + 1, dtype=np.int64)
    np.cumsum([len(text) for text in texts], out=starts[1:])
    keys = _latin_keys(np.frombuffer("".join(texts).encode("utf-32-le"), dtype=np.uint32).copy(), starts)
    table = np.zeros(1 << (4 * len(keys)).bit_length(), dtype=np.uint64)
    put_all(table, keys)
    return table


@compiled
def _latin_keys(codes: Codes, starts: Ints) -> Keys:
    keys = np.empty(len(starts) - 1, dtype=np.uint64)
    for text in range(len(keys)):
        keys[text] = _latin_key(codes, starts[text], starts[text + 1])
    return keys


@compiled
def capitalised(codes: Codes, starts: Ints, capitals: Ints, table: Keys) -> tuple[NDArray[np.int32], Ints]:
    """Words of a capital and small letters that the table holds: text of each, and where it begins in it.

    Args:
        capitals: Where they begin in all texts together, in order.
    """
    texts, places = np.empty(len(capitals), np.int32), np.empty(len(capitals), np.int64)
    text, count = 0, 0
    for first in capitals:
        while starts[text + 1] <= first:
            text += 1
        place = first + 1
        while place < starts[text + 1] and 0x61 <= codes[place] <= 0x7A:
            place += 1
        if table[_slot(table, _latin_key(codes, first, place))] != 0:
            texts[count], places[count] = text, first - starts[text]
            count += 1
    return texts[:count].copy(), places[:count].copy()

"""Finds the terms of a lexicon in texts: one trie, one pass, at each place the longest term."""

# numpy's scalars are the integers of compiled loops:
# pyright: reportArgumentType=false, reportReturnType=false

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from loopwright.compiling import compiled, compiled_inner
from loopwright.toxicity.characters import BROKEN, CODE, DIGIT, HAN, HANGUL, JAMO, LOWER
from loopwright.toxicity.streams import Ints, Stream

_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
_ONE, _ONE_BIT = np.uint64(1), np.uint32(1)
_NEEDS_LEFT, _NEEDS_RIGHT = 1, 2
# classes of which a term may begin inside a word, a bit each
_INSIDE = np.uint32(sum(1 << kind for kind in (HANGUL, JAMO, CODE, BROKEN, HAN)))
Bits = NDArray[np.uint32]  # [0x800], 8 KiB: the nearest cache holds three of them


class Trie(NamedTuple):
    """Terms as transitions in a hash table; `kind` is -1 where no term ends.

    Attributes:
        alone: A bit for each character: whether it is a term.
        pairs: A bit for each hashed pair of characters: whether it is a term.
        threes: A bit for each hashed three characters: whether they begin a term.
    """

    alone: Bits
    pairs: Bits
    threes: Bits
    keys: NDArray[np.uint64]
    states: NDArray[np.int32]
    kind: NDArray[np.int16]
    needs: NDArray[np.uint8]  # 1: a left edge, 2: a right edge


class Found(NamedTuple):
    """Terms that were found, in order of place; of those that overlap the leftmost longest."""

    text: NDArray[np.int32]
    place: Ints
    kind: NDArray[np.int16]


class _Draft:
    """A trie while it grows."""

    def __init__(self) -> None:
        self.steps: dict[int, int] = {}
        self.kinds: list[int] = [-1]
        self.needs: list[int] = [0]

    def add(self, term: str, kind: int, *, needs: int) -> None:
        state = 0
        for char in term:
            key = (state << 17 | ord(char)) + 1
            if key not in self.steps:
                self.steps[key] = len(self.kinds)
                self.kinds.append(-1)
                self.needs.append(0)
            state = self.steps[key]
        self.kinds[state], self.needs[state] = kind, needs


def trie_of(lexicon: Mapping[int, Iterable[str]]) -> Trie:
    """A trie of terms by kind.

    A term of Latin letters is a whole word, with `*` at its end also the beginning of one; `|` before a Korean term asks
    that no letter stand before it. A term that is given twice has the kind that came last.
    """
    draft = _Draft()
    alone, pairs, threes = (np.zeros(0x800, dtype=np.uint32) for _ in range(3))
    for kind, terms in lexicon.items():
        for term in terms:
            word = term.strip("|*")
            latin = word[0].isascii()
            needs = _NEEDS_LEFT if latin or term.startswith("|") else 0
            needs |= _NEEDS_RIGHT if word[-1].isascii() and word[-1].isalnum() and not term.endswith("*") else 0
            draft.add(word, kind, needs=needs)
            first, second, third = (*map(ord, word[:3]), 0, 0)[:3]
            if len(word) == 1:
                _set_bit(alone, first)
            else:
                _set_bit(pairs if len(word) == 2 else threes, int(_hash_of(first, second, third)))
    size = 1 << (4 * len(draft.steps)).bit_length()
    keys, states = np.zeros(size, dtype=np.uint64), np.zeros(size, dtype=np.int32)
    states[put_all(keys, np.fromiter(draft.steps, dtype=np.uint64))] = list(draft.steps.values())
    kinds, edges = np.array(draft.kinds, dtype=np.int16), np.array(draft.needs, dtype=np.uint8)
    return Trie(alone, pairs, threes, keys, states, kinds, edges)


def _set_bit(bits: Bits, place: int) -> None:
    bits[place >> 5] |= np.uint32(1 << (place & 31))


@compiled
def _hash_of(first: int, second: int, third: int) -> int:
    """Place of two or three code points, the third one 0, in the filters of beginnings."""
    mixed = np.uint32(first) * np.uint32(0x9E37) ^ np.uint32(second) * np.uint32(0x85EB)
    return (mixed ^ np.uint32(third) * np.uint32(0xC2B3)) & np.uint32(0xFFFF)


@compiled_inner
def _slot(keys: NDArray[np.uint64], key: int) -> int:
    """Where a key is, or the empty slot where it would be; the table is never full and no key is 0."""
    mask = np.uint64(len(keys) - 1)
    mixed = key * _MULTIPLIER
    slot = (mixed ^ (mixed >> np.uint64(32))) & mask
    while keys[slot] != 0 and keys[slot] != key:
        slot = (slot + _ONE) & mask
    return np.int64(slot)


@compiled
def put_all(keys: NDArray[np.uint64], wanted: NDArray[np.uint64]) -> Ints:
    """Puts keys into a table; gives the slot of each."""
    slots = np.empty(len(wanted), dtype=np.int64)
    for place in range(len(wanted)):
        slots[place] = _slot(keys, wanted[place])
        keys[slots[place]] = wanted[place]
    return slots


@compiled
def find_terms(stream: Stream, trie: Trie) -> Found:
    """Finds terms; time grows with the characters, and where terms begin with their length."""
    codes, classes, edge = stream.codes, stream.classes, stream.edge
    room = len(codes) + 1
    texts, places, kinds = np.empty(room, np.int32), np.empty(room, np.int64), np.empty(room, np.int16)
    count = 0
    for text in range(len(stream.starts) - 1):
        place, end = stream.starts[text], stream.starts[text + 1]
        while place < end:
            first = codes[np.uint64(place)]
            second = codes[np.uint64(place + 1)] if place + 1 < end else np.uint32(0)
            third = codes[np.uint64(place + 2)] if place + 2 < end else np.uint32(0)
            inside = (_INSIDE >> np.uint32(classes[np.uint64(place)])) | np.uint32(edge[np.uint64(place)])
            begins = _bit(trie.threes, _hash_of(first, second, third)) | _bit(trie.alone, first)
            begins |= _bit(trie.pairs, _hash_of(first, second, np.uint32(0)))
            length, kind = 0, -1
            if begins & inside & _ONE_BIT:  # one branch, hardly ever taken
                length, kind = _longest(stream, trie, place, end)
            if length > 0:
                texts[count], places[count], kinds[count] = text, place, kind
                count += 1
            place += max(1, length)
    return Found(texts[:count].copy(), places[:count].copy(), kinds[:count].copy())


@compiled_inner
def _bit(bits: Bits, place: int) -> int:
    """In the lowest bit of the result."""
    return bits[np.uint64(place >> np.uint32(5))] >> (place & np.uint32(31))


@compiled_inner
def _longest(stream: Stream, trie: Trie, place: int, end: int) -> tuple[int, int]:
    """Length and kind of the longest term that begins here; 0 if none does."""
    state, length, kind = np.uint64(0), 0, -1
    for at in range(place, end):
        key = ((state << np.uint64(17)) | np.uint64(stream.codes[at])) + _ONE
        slot = _slot(trie.keys, key)
        if trie.keys[slot] == 0:
            break
        state = np.uint64(trie.states[slot])
        needs = trie.needs[state]
        if trie.kind[state] < 0 or ((needs & 1) and not stream.edge[place]):
            continue
        if (needs & 2) and at + 1 < end and LOWER <= stream.classes[at + 1] <= DIGIT:
            continue
        length, kind = at + 1 - place, trie.kind[state]
    return length, kind

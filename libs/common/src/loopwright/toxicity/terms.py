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
_ONE = np.uint64(1)
_NEEDS_LEFT, _NEEDS_RIGHT = 1, 2
_ANY_THIRD = 0xFFFFFFFF
Bits = NDArray[np.uint32]


class Trie(NamedTuple):
    """Terms as transitions in a hash table; `kind` is -1 where no term ends.

    Attributes:
        alone: By the lowest byte of a character whether one like it is a term [256].
        begins: For each hashed pair of characters a bit for each hashed third: whether they may begin a term. Its 16 KiB
            and the table above stay in the nearest cache.
    """

    alone: NDArray[np.uint8]
    begins: Bits
    keys: NDArray[np.uint64]
    states: NDArray[np.int32]
    kind: NDArray[np.int16]
    needs: NDArray[np.uint8]  # 1: a left edge, 2: a right edge


class Found(NamedTuple):
    """Terms that were found, in order of text and of place in it; of those that overlap the leftmost longest."""

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
    alone, begins = np.zeros(0x100, dtype=np.uint8), np.zeros(0x1000, dtype=np.uint32)
    for kind, terms in lexicon.items():
        for term in terms:
            word = term.strip("|*")
            latin = word[0].isascii()
            needs = _NEEDS_LEFT if latin or term.startswith("|") else 0
            needs |= _NEEDS_RIGHT if word[-1].isascii() and word[-1].isalnum() and not term.endswith("*") else 0
            draft.add(word, kind, needs=needs)
            if len(word) == 1:
                alone[ord(word) & 0xFF] = 1
            else:
                third = _ANY_THIRD if len(word) == 2 else 1 << int(_bit_of(np.uint32(ord(word[2]))))
                begins[int(_pair_of(np.uint32(ord(word[0])), np.uint32(ord(word[1]))))] |= np.uint32(third)
    size = 1 << (4 * len(draft.steps)).bit_length()
    keys, states = np.zeros(size, dtype=np.uint64), np.zeros(size, dtype=np.int32)
    states[put_all(keys, np.fromiter(draft.steps, dtype=np.uint64))] = list(draft.steps.values())
    kinds, edges = np.array(draft.kinds, dtype=np.int16), np.array(draft.needs, dtype=np.uint8)
    return Trie(alone, begins, keys, states, kinds, edges)


@compiled_inner
def _pair_of(first: int, second: int) -> int:
    """Place of two code points among the beginnings."""
    mixed = np.uint32(first * np.uint32(0x9E37)) + np.uint32(second * np.uint32(0x85EB))
    return np.uint32(np.uint32(mixed >> np.uint32(4)) & np.uint32(0xFFF))


@compiled_inner
def _bit_of(third: int) -> int:
    return np.uint32((third ^ (third >> np.uint32(5))) & np.uint32(31))


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
    starts = stream.starts
    begins = _beginnings(stream, trie)
    texts, places, kinds = (
        np.empty(len(begins), np.int32),
        np.empty(len(begins), np.int64),
        np.empty(len(begins), np.int16),
    )
    count, text, free = 0, 0, 0
    for place in begins:
        if place < free:
            continue
        length, kind = _longest(stream, trie, np.int64(place))
        if length > 0:
            while place >= starts[text + 1]:
                text += 1
            texts[count], places[count], kinds[count] = text, place - starts[text], kind
            count, free = count + 1, place + length
    return Found(texts[:count].copy(), places[:count].copy(), kinds[:count].copy())


@compiled
def _beginnings(stream: Stream, trie: Trie) -> Bits:
    """Places where a term may begin by its first three characters and by the class of the first."""
    codes, classes, edge = stream.codes, stream.classes, stream.edge
    may = np.zeros(len(codes), np.uint8)
    for place in range(len(codes) - 2):  # what lies behind the end of a text does no harm
        first, second, third = np.uint32(codes[place]), np.uint32(codes[place + 1]), np.uint32(codes[place + 2])
        thirds = trie.begins[_pair_of(first, second)] >> _bit_of(third)
        may[place] = np.uint8((thirds | np.uint32(trie.alone[first & np.uint32(0xFF)])) & np.uint32(1))
    for place in range(len(codes)):
        kind = classes[place]
        inside = (kind == HANGUL) | (kind == JAMO) | (kind == CODE) | (kind == BROKEN) | (kind == HAN)
        may[place] &= np.uint8(inside | edge[place])
    places = np.empty(len(codes), np.uint32)
    count = np.uint64(0)
    for place in range(len(codes)):  # written at every place and only kept by a step of the count
        places[count] = place
        count += np.uint64(may[place])
    return places[: np.int64(count)].copy()


@compiled_inner
def _longest(stream: Stream, trie: Trie, place: int) -> tuple[int, int]:
    """Length and kind of the longest term that begins here, 0 if none does; no term goes on at the empty place behind a text."""
    state, length, kind, at = np.uint64(0), 0, -1, place
    while True:
        key = ((state << np.uint64(17)) | np.uint64(stream.codes[at])) + _ONE
        slot = _slot(trie.keys, key)
        if trie.keys[slot] == 0:
            return length, kind
        at += 1
        state = np.uint64(trie.states[slot])
        needs = trie.needs[state]
        if trie.kind[state] < 0 or ((needs & 1) and not stream.edge[place]):
            continue
        if (needs & 2) and LOWER <= stream.classes[at] <= DIGIT:
            continue
        length, kind = at - place, trie.kind[state]

"""Finds the terms of a lexicon in texts: one trie, one pass, at each place the longest term."""
# ruff: noqa: PLR1714, SIM109 - membership tests make the compiled loops several times slower
# numpy's scalars are the integers of compiled loops:
# pyright: reportArgumentType=false, reportReturnType=false

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dataset_svc.domain.compiling import compiled
from dataset_svc.domain.quality.characters import BROKEN, CODE, DIGIT, HAN, HANGUL, JAMO, LOWER
from dataset_svc.domain.quality.streams import Ints, Stream

_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
_ONE = np.uint64(1)
_NEEDS_LEFT, _NEEDS_RIGHT = 1, 2


class Trie(NamedTuple):
    """Terms as transitions in a hash table; `kind` is -1 where no term ends.

    Attributes:
        firsts: What a character can begin: 1 a term, 2 one that is the character alone.
        pairs: Which hashed pairs of characters are terms.
        threes: Which hashed three characters begin a term.
    """

    firsts: NDArray[np.uint8]
    pairs: NDArray[np.bool_]
    threes: NDArray[np.bool_]
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
    firsts = np.zeros(0x10000, dtype=np.uint8)
    pairs, threes = np.zeros(0x10000, dtype=np.bool_), np.zeros(0x10000, dtype=np.bool_)
    for kind, terms in lexicon.items():
        for term in terms:
            word = term.strip("|*")
            latin = word[0].isascii()
            needs = _NEEDS_LEFT if latin or term.startswith("|") else 0
            needs |= _NEEDS_RIGHT if word[-1].isascii() and word[-1].isalnum() and not term.endswith("*") else 0
            draft.add(word, kind, needs=needs)
            firsts[ord(word[0])] |= 2 if len(word) == 1 else 1
            if len(word) == 2:
                pairs[_hash_of(ord(word[0]), ord(word[1]), 0)] = True
            elif len(word) > 2:
                threes[_hash_of(ord(word[0]), ord(word[1]), ord(word[2]))] = True
    size = 1 << (4 * len(draft.steps)).bit_length()
    keys, states = np.zeros(size, dtype=np.uint64), np.zeros(size, dtype=np.int32)
    states[put_all(keys, np.fromiter(draft.steps, dtype=np.uint64))] = list(draft.steps.values())
    kinds, edges = np.array(draft.kinds, dtype=np.int16), np.array(draft.needs, dtype=np.uint8)
    return Trie(firsts, pairs, threes, keys, states, kinds, edges)


@compiled
def _hash_of(first: int, second: int, third: int) -> int:
    """Place of two or three code points, the third one 0, in the filters of beginnings."""
    mixed = np.uint32(first) * np.uint32(0x9E37) ^ np.uint32(second) * np.uint32(0x85EB)
    return (mixed ^ np.uint32(third) * np.uint32(0xC2B3)) & np.uint32(0xFFFF)


@compiled
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
            length, kind = 0, -1
            if trie.firsts[codes[place]] and (edge[place] or _may_begin_inside(classes[place])):
                second = codes[place + 1] if place + 1 < end else np.uint32(0)
                third = codes[place + 2] if place + 2 < end else np.uint32(0)
                begins = trie.firsts[codes[place]] & 2 or trie.threes[_hash_of(codes[place], second, third)]
                if begins or trie.pairs[_hash_of(codes[place], second, np.uint32(0))]:
                    length, kind = _longest(stream, trie, place, end)
            if length > 0:
                texts[count], places[count], kinds[count] = text, place, kind
                count += 1
            place += max(1, length)
    return Found(texts[:count].copy(), places[:count].copy(), kinds[:count].copy())


@compiled
def _may_begin_inside(kind: int) -> bool:
    return kind == HANGUL or kind == JAMO or kind == CODE or kind == BROKEN or kind == HAN


@compiled
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

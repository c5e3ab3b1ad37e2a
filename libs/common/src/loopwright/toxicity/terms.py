"""Finds the terms of lexicons in texts: one trie, one pass, at each place the longest term of each lexicon."""

# numpy's scalars are the integers of compiled loops:
# pyright: reportArgumentType=false, reportReturnType=false

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from loopwright.compiling import compiled, compiled_inner
from loopwright.toxicity.characters import BROKEN, CODE, DIGIT, HAN, HANGUL, JAMO, LOWER
from loopwright.toxicity.streams import Codes, Ints, Stream

_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
_FIFTH = np.uint64(0xC2B2AE3D27D4EB4F)
_ONE, _KEY, _STATE = np.uint64(1), np.uint64(32), np.uint64(0x7FFFFFFF)
_NEEDS_LEFT, _NEEDS_RIGHT = 1, 2
_ANY_THIRD = 0xFFFFFFFF
_HEAD_BITS = 17
_HEAD = 5
Bits = NDArray[np.uint32]


class Trie(NamedTuple):
    """Terms of one or more lexicons as transitions in a hash table.

    Attributes:
        alone: By the lowest byte of a character whether one like it is a term [256].
        begins: For each hashed pair of characters a bit for each hashed third: whether they may begin a term. Its 16 KiB
            and the table above stay in the nearest cache.
        heads: A bit for each hashed run of five characters: whether it may begin a term; of shorter terms, for what is
            the whole of one. As large as `begins`.
        steps: A hash table; state and character above, in the 32 bits below twice the next state, and 1 if terms end there.
        ends: Where a term of the lexicon ends, four times its kind and what it needs (1: a left edge, 2: a right edge),
            elsewhere -1 [states, lexicons].
    """

    alone: NDArray[np.uint8]
    begins: Bits
    heads: Bits
    steps: NDArray[np.uint64]
    ends: NDArray[np.int16]


class Found(NamedTuple):
    """Terms that were found, in order of text and of place in it; of those that overlap the leftmost longest."""

    text: NDArray[np.int32]
    place: Ints
    kind: NDArray[np.int16]


class _Draft:
    """A trie while it grows."""

    def __init__(self, lexicons: int) -> None:
        self.lexicons = lexicons
        self.steps: dict[int, int] = {}
        self.ends: list[list[int]] = [[-1] * lexicons]
        self.alone = np.zeros(0x100, dtype=np.uint8)
        self.begins = np.zeros(0x1000, dtype=np.uint32)
        self.heads = np.zeros(1 << (_HEAD_BITS - 5), dtype=np.uint32)

    def add(self, word: str, lexicon: int, kind: int, *, needs: int) -> None:
        state = 0
        for char in word:
            key = (state << 17 | ord(char)) + 1
            if key not in self.steps:
                self.steps[key] = len(self.ends)
                self.ends.append([-1] * self.lexicons)
            state = self.steps[key]
        self.ends[state][lexicon] = 4 * kind + needs
        self._note_beginning(word)

    def _note_beginning(self, word: str) -> None:
        first, second, third, *_ = codes = [*map(ord, word), 0, 0, 0, 0]
        if len(word) == 1:
            self.alone[first & 0xFF] = 1
        else:
            bits = _ANY_THIRD if len(word) == 2 else 1 << int(_bit_of(np.uint32(third)))
            self.begins[int(_pair_of(np.uint32(first), np.uint32(second)))] |= np.uint32(bits)
        four = np.uint64(sum(code << 16 * place for place, code in enumerate(codes[:4])))
        head = int(_head_of(four, np.uint64(codes[4] if len(word) >= _HEAD else 0), np.uint64(min(len(word), _HEAD))))
        self.heads[head >> 5] |= np.uint32(1 << (head & 31))


def trie_of(*lexicons: Mapping[int, Iterable[str]]) -> Trie:
    """A trie of terms by kind.

    A term of Latin letters is a whole word, with `*` at its end also the beginning of one; `|` before a Korean term asks
    that no letter stand before it. A term that a lexicon gives twice has the kind that came last.
    """
    draft = _Draft(len(lexicons))
    for lexicon, terms_of in enumerate(lexicons):
        for kind, terms in terms_of.items():
            for term in terms:
                word = term.strip("|*")
                needs = _NEEDS_LEFT if word[0].isascii() or term.startswith("|") else 0
                needs |= _NEEDS_RIGHT if word[-1].isascii() and word[-1].isalnum() and not term.endswith("*") else 0
                draft.add(word, lexicon, kind, needs=needs)
    ends = np.array(draft.ends, dtype=np.int16)
    some = np.any(ends >= 0, axis=1).tolist()
    steps = np.array([key << 32 | state << 1 | some[state] for key, state in draft.steps.items()], dtype=np.uint64)
    table = np.zeros(1 << (2 * len(steps)).bit_length(), dtype=np.uint64)
    _put_all(table, steps)
    return Trie(draft.alone, draft.begins, draft.heads, table, ends)


def find_terms(stream: Stream, trie: Trie) -> list[Found]:
    """Finds the terms of each lexicon; time grows with the characters, and where terms begin with their length."""
    lexicons, texts, places, kinds = _find(stream, trie)
    if trie.ends.shape[1] == 1:
        return [Found(texts, places, kinds)]
    of_each = [lexicons == lexicon for lexicon in range(trie.ends.shape[1])]
    return [Found(texts[own], places[own], kinds[own]) for own in of_each]


@compiled_inner
def _pair_of(first: int, second: int) -> int:
    """Place of two code points among the beginnings."""
    mixed = np.uint32(first * np.uint32(0x9E37)) + np.uint32(second * np.uint32(0x85EB))
    return np.uint32(np.uint32(mixed >> np.uint32(4)) & np.uint32(0xFFF))


@compiled_inner
def _bit_of(third: int) -> int:
    return np.uint32((third ^ (third >> np.uint32(5))) & np.uint32(31))


@compiled_inner
def _slot(steps: NDArray[np.uint64], key: int) -> int:
    """Where a key is, or the empty slot where it would be; the table is never full and no key is 0."""
    mask = np.uint64(len(steps) - 1)
    mixed = key * _MULTIPLIER
    slot = (mixed ^ (mixed >> _KEY)) & mask
    while (steps[slot] != 0) & (steps[slot] >> _KEY != key):
        slot = (slot + _ONE) & mask
    return slot


@compiled
def _put_all(table: NDArray[np.uint64], steps: NDArray[np.uint64]) -> None:
    for step in steps:
        table[_slot(table, step >> _KEY)] = step


class _Notes(NamedTuple):
    """What is noted while terms are looked for.

    Attributes:
        lexicons: Of each term that was found.
        places: Of each, in the stream.
        kinds: Of each.
        ends: By lexicon, the end of the longest term that begins at the place that is looked at.
        longest: Its kind.
        free: By lexicon, where the last term ends.
    """

    lexicons: NDArray[np.uint8]
    places: Ints
    kinds: NDArray[np.int16]
    ends: Ints
    longest: NDArray[np.int16]
    free: Ints


@compiled
def _find(stream: Stream, trie: Trie) -> tuple[NDArray[np.uint8], NDArray[np.int32], Ints, NDArray[np.int16]]:
    """Lexicon, text, place in it and kind of each term."""
    begins, many = _beginnings(stream, trie), trie.ends.shape[1]
    most, starts = many * len(begins), stream.starts
    lexicons, places, kinds = np.empty(most, np.uint8), np.empty(most, np.int64), np.empty(most, np.int16)
    ends, longest, free = np.zeros(many, np.int64), np.zeros(many, np.int16), np.zeros(many, np.int64)
    count = _note_all(stream, trie, begins, _Notes(lexicons, places, kinds, ends, longest, free))
    texts, text = np.empty(count, np.int32), 0
    for term in range(count):
        while places[term] >= starts[text + 1]:
            text += 1
        texts[term] = text
        places[term] -= starts[text]
    return lexicons[:count].copy(), texts, places[:count].copy(), kinds[:count].copy()


@compiled
def _beginnings(stream: Stream, trie: Trie) -> Bits:
    """Places where a term may begin by its first characters and by the class of the first."""
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
    return places[: _keep_heads(codes, trie.heads, places, np.int64(count))].copy()


@compiled_inner
def _keep_heads(codes: Codes, heads: Bits, places: Bits, count: int) -> int:
    """Keeps the places where a term may begin by its first five characters; gives how many they are."""
    kept, last = np.uint64(0), len(codes) - _HEAD
    if last < 0:
        return count
    for nth in range(count):
        place = np.int64(places[nth])
        four, fifth = _first_four(codes, min(place, last)), np.uint64(codes[min(place + 4, len(codes) - 1)])
        bits = np.uint32(place > last)
        for length in range(1, _HEAD + 1):
            head = _head_of(four, fifth, np.uint64(length))
            bits |= heads[head >> np.uint64(5)] >> np.uint32(head & np.uint64(31))
        places[kept] = place
        kept += np.uint64(bits & np.uint32(1))
    return np.int64(kept)


@compiled_inner
def _first_four(codes: Codes, place: int) -> int:
    """Compiled to one load."""
    word, first = np.uint64(0), np.uint64(place)
    for nth in range(4):
        word |= np.uint64(codes[first + np.uint64(nth)]) << np.uint64(16 * nth)
    return word


@compiled_inner
def _head_of(four: int, fifth: int, length: int) -> int:
    """Bit of the first five characters, or of so many where those are fewer."""
    if length < np.uint64(_HEAD):
        return ((four << (np.uint64(64) - np.uint64(16) * length)) * _MULTIPLIER) >> np.uint64(64 - _HEAD_BITS)
    return ((four ^ (fifth * _FIFTH)) * _MULTIPLIER) >> np.uint64(64 - _HEAD_BITS)


@compiled_inner
def _note_all(stream: Stream, trie: Trie, begins: Bits, notes: _Notes) -> int:
    """Notes the terms of each lexicon that begin at some places; gives how many they are.

    No term goes on at the empty place behind a text.
    """
    count = 0
    for begin in begins:
        state, at, some = np.uint64(0), np.uint64(begin), False
        while True:
            key = ((state << np.uint64(17)) | np.uint64(stream.codes[at])) + _ONE
            step = trie.steps[_slot(trie.steps, key)]
            if step == 0:
                break
            at += _ONE
            state = (step >> _ONE) & _STATE
            if step & _ONE:
                _note_ends(stream, (np.int64(begin), np.int64(at)), (trie.ends, state), notes)
                some = True
        if some:
            count = _note_longest(np.int64(begin), count, notes)
    return count


@compiled_inner
def _note_ends(stream: Stream, span: tuple[int, int], here: tuple[NDArray[np.int16], int], notes: _Notes) -> None:
    """Notes that terms end, of those lexicons for which the span has the edges that they need."""
    (place, at), (ends, state) = span, here
    for lexicon in range(len(notes.ends)):
        term = ends[state, np.uint64(lexicon)]
        if term < 0 or ((term & _NEEDS_LEFT) and not stream.edge[place]):
            continue
        if (term & _NEEDS_RIGHT) and LOWER <= stream.classes[at] <= DIGIT:
            continue
        notes.ends[lexicon], notes.longest[lexicon] = at, term >> 2


@compiled_inner
def _note_longest(place: int, count: int, notes: _Notes) -> int:
    """Notes the longest terms that begin at a place, unless one that began before goes on."""
    for lexicon in range(len(notes.free)):
        if notes.ends[lexicon] > place >= notes.free[lexicon]:
            notes.lexicons[count], notes.places[count] = lexicon, place
            notes.kinds[count], notes.free[lexicon] = notes.longest[lexicon], notes.ends[lexicon]
            count += 1
    return count

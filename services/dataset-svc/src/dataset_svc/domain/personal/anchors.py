"""Which of many words texts hold, found in one look at their characters; complete in itself, as `scanning.py` is."""
# numpy's scalars are the integers of compiled loops:
# pyright: reportArgumentType=false, reportReturnType=false

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from loopwright.compiling import compiled, compiled_inner

Codes = NDArray[np.uint32]
Ints = NDArray[np.int64]
_PAIR_BITS: Final = 14
# of a hash of two characters, whose upper bits are the good ones
_FIRST, _SECOND, _SHIFT = np.uint32(0x9E3779B1), np.uint32(0x85EBCA6B), np.uint32(32 - _PAIR_BITS)
_THIRD, _ONE, _TWO, _CASE = np.uint32(31), np.uint64(1), np.uint64(2), np.uint32(32)


class Anchors(NamedTuple):
    """Lower-case words to look for, sorted by a hash of their first two characters.

    Attributes:
        thirds: By hash of two characters, bits of the characters that follow them in a word, modulo 32; all where a word
            has no more.
        places: By hash, the place of the first word that has it.
        pairs: Hash of each word, ascending.
        codes: [words, longest], characters, then zeros.
        groups: Bit of the group that each belongs to; a word of several groups has all their bits.
    """

    thirds: NDArray[np.uint32]
    places: NDArray[np.int32]
    pairs: Ints
    codes: Codes
    groups: Ints


def anchors_of(groups: Sequence[Sequence[str]]) -> Anchors:
    """Words of groups, each of at least two characters; group i has the bit `1 << i`, at most 63."""
    bits: dict[str, int] = {}
    for group, words in enumerate(groups):
        for word in words:
            bits[word] = bits.get(word, 0) | 1 << group
    by_pair = sorted((_pair_of(word), word) for word in bits)
    codes = np.zeros((len(by_pair), max(map(len, bits), default=1)), dtype=np.uint32)
    thirds, places = np.zeros(1 << _PAIR_BITS, dtype=np.uint32), np.zeros(1 << _PAIR_BITS, dtype=np.int32)
    for place, (pair, word) in reversed(list(enumerate(by_pair))):
        codes[place, : len(word)] = [ord(char) for char in word]
        thirds[pair] |= 1 << ord(word[2]) % 32 if len(word) > 2 else 0xFFFFFFFF
        places[pair] = place
    pairs = np.array([pair for pair, _ in by_pair], dtype=np.int64)
    return Anchors(thirds, places, pairs, codes, np.array([bits[word] for _, word in by_pair], dtype=np.int64))


def _pair_of(word: str) -> int:
    return (ord(word[0]) * int(_FIRST) + ord(word[1]) * int(_SECOND) & 0xFFFFFFFF) >> int(_SHIFT)


@compiled
def groups_anchored(codes: Codes, starts: Ints, anchors: Anchors) -> Ints:
    """Of each text, the bits of the groups of which it holds a word."""
    found, longest = np.zeros(len(starts) - 1, dtype=np.int64), 0
    for text in range(len(found)):
        longest = max(longest, starts[text + 1] - starts[text])
    low, pairs = np.zeros(longest + 2, dtype=np.uint32), np.empty(longest, dtype=np.uint16)
    likely = np.empty(longest + 1, dtype=np.int32)
    for text in range(len(found)):
        own = codes[starts[text] : starts[text + 1]]
        _read_pairs(own, low, pairs)
        for place in likely[: _mark_likely(low, pairs[: len(own)], anchors.thirds, likely)]:
            found[text] |= _anchored(low, place, pairs[place], anchors)
    return found


@compiled_inner
def _read_pairs(codes: Codes, low: Codes, pairs: NDArray[np.uint16]) -> None:
    """Puts down small letters for capitals, then two zeros, and the hash of each character and the next."""
    for place in range(np.uint64(len(codes))):
        code = codes[place]
        low[place] = code + _CASE if 0x41 <= code <= 0x5A else code
    low[len(codes)] = low[len(codes) + 1] = 0
    for place in range(np.uint64(len(codes))):
        pairs[place] = np.uint32(low[place] * _FIRST + low[place + _ONE] * _SECOND) >> _SHIFT


@compiled_inner
def _mark_likely(low: Codes, pairs: NDArray[np.uint16], thirds: NDArray[np.uint32], likely: NDArray[np.int32]) -> int:
    """Where three characters could begin a word; gives how many such places there are."""
    count = np.uint64(0)
    for place in range(np.uint64(len(pairs))):
        likely[count] = place
        count += np.uint64((thirds[pairs[place]] >> (low[place + _TWO] & _THIRD)) & np.uint32(1))
    return np.int64(count)


@compiled_inner
def _anchored(low: Codes, place: int, pair: int, anchors: Anchors) -> int:
    """The bits of the words that begin at a place; zeros behind the text end all of them."""
    found, word = np.int64(0), anchors.places[pair]
    while word < len(anchors.pairs) and anchors.pairs[word] == pair:
        length = 0
        while length < anchors.codes.shape[1] and anchors.codes[word, length] == low[place + length] != 0:
            length += 1
        if length == anchors.codes.shape[1] or anchors.codes[word, length] == 0:
            found |= anchors.groups[word]
        word += 1
    return found

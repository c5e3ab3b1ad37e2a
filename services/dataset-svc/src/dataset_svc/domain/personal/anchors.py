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
_PLANE: Final = 0x10000


class Anchors(NamedTuple):
    """Lower-case words to look for, sorted by a hash of their first two characters.

    Attributes:
        alone: [0x10000], bits of the groups of the word that is the character.
        longer: [0x10000], whether a character begins a longer word.
        places: [0x10000], place of the first word whose first two characters have the hash; -1 if there is none.
        pairs: Hash of the first two characters of each, ascending.
        codes: [words, longest], characters, then zeros.
        groups: Bit of the group that each belongs to; a word of several groups has all their bits.
    """

    alone: Ints
    longer: NDArray[np.bool_]
    places: NDArray[np.int32]
    pairs: Ints
    codes: Codes
    groups: Ints


def anchors_of(groups: Sequence[Sequence[str]]) -> Anchors:
    """Words of groups, each of at least two characters or exactly one; group i has the bit `1 << i`, at most 63."""
    bits: dict[str, int] = {}
    for group, words in enumerate(groups):
        for word in words:
            bits[word] = bits.get(word, 0) | 1 << group
    by_pair = sorted((_pair_of(word), word) for word in bits if len(word) > 1)
    codes = np.zeros((len(by_pair), max(map(len, bits), default=1)), dtype=np.uint32)
    alone, longer = np.zeros(_PLANE, dtype=np.int64), np.zeros(_PLANE, dtype=np.bool_)
    places = np.full(_PLANE, -1, dtype=np.int32)
    for word, own in bits.items():
        begins = [ord(word[0]), ord(word[0].upper())]
        if len(word) == 1:
            alone[begins] = own
        else:
            longer[begins] = True
    for place, (pair, word) in reversed(list(enumerate(by_pair))):
        codes[place, : len(word)] = [ord(char) for char in word]
        places[pair] = place
    pairs = np.array([pair for pair, _ in by_pair], dtype=np.int64)
    return Anchors(alone, longer, places, pairs, codes, np.array([bits[word] for _, word in by_pair], dtype=np.int64))


def _pair_of(word: str) -> int:
    return (ord(word[0]) * 0x9E37 ^ ord(word[1]) * 0x85EB) & 0xFFFF


@compiled
def _lower(code: int) -> int:
    return code + 32 if 0x41 <= code <= 0x5A else code


@compiled
def groups_anchored(codes: Codes, starts: Ints, anchors: Anchors) -> Ints:
    """Of each text, the bits of the groups of which it holds a word."""
    found = np.zeros(len(starts) - 1, dtype=np.int64)
    for text in range(len(found)):
        stop, bits = starts[text + 1], np.int64(0)
        for place in range(starts[text], stop):
            code = codes[place]
            if code >= _PLANE:
                continue
            bits |= anchors.alone[code]
            if anchors.longer[code] and place + 1 < stop:
                first, second = np.uint32(_lower(code)), np.uint32(_lower(codes[place + 1]))
                pair = ((first * np.uint32(0x9E37)) ^ (second * np.uint32(0x85EB))) & np.uint32(0xFFFF)
                if anchors.places[pair] >= 0:
                    bits |= _anchored(codes, place, stop, (np.int64(pair), anchors))
        found[text] = bits
    return found


@compiled_inner
def _anchored(codes: Codes, place: int, stop: int, wanted: tuple[int, Anchors]) -> int:
    pair, anchors = wanted
    found = np.int64(0)
    for word in range(anchors.places[pair], len(anchors.pairs)):
        if anchors.pairs[word] != pair:
            break
        length = 0
        while length < anchors.codes.shape[1] and anchors.codes[word, length] != 0:
            if place + length >= stop or _lower(codes[place + length]) != anchors.codes[word, length]:
                length = -1
                break
            length += 1
        found |= anchors.groups[word] if length > 0 else 0
    return found

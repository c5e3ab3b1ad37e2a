"""What can be counted of a text character by character: classes, runs, brackets, sentences, how well it compresses."""
# ruff: noqa: PLR1714, SIM109 - membership tests make the compiled loops several times slower
# numpy's scalars are the integers of compiled loops:
# pyright: reportArgumentType=false, reportReturnType=false

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from loopwright.compiling import compiled, compiled_inner
from loopwright.toxicity.characters import CLASSES, FOREIGN, HANGUL, NEWLINE, STOP
from loopwright.toxicity.streams import Codes, Ints, Stream

# columns of a profile after the counts by class
LONGEST_RUN: Final = CLASSES
ODD_RUNS: Final = CLASSES + 1  # characters in runs of what a wrong encoding shows
OPEN_BRACKETS: Final = CLASSES + 2
KOREAN_SENTENCES: Final = CLASSES + 3
KOREAN_FINALS: Final = CLASSES + 4  # sentences that end as Korean sentences do
RARE_SYLLABLES: Final = CLASSES + 5
FENCES: Final = CLASSES + 6
LAST: Final = CLASSES + 7  # class of the last character that is no space
LZ_UNITS: Final = CLASSES + 8  # literals, and three for every match, of greedy LZ77 as LZ4 does it
PROFILE: Final = CLASSES + 9

_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
_TABLE_BITS = 12
_ONE, _TWO, _THREE = np.uint64(1), np.uint64(2), np.uint64(3)


class Letters(NamedTuple):
    """Tables over the plane: what a wrong encoding shows, common syllables, syllables that end Korean sentences."""

    odd: NDArray[np.bool_]
    common: NDArray[np.bool_]
    finals: NDArray[np.bool_]


@compiled
def profiles_of(stream: Stream, letters: Letters) -> Ints:
    """Profile of each text [texts, PROFILE]."""
    rows = np.zeros((len(stream.starts) - 1, PROFILE), dtype=np.int64)
    table = np.full(1 << _TABLE_BITS, -1, dtype=np.int64)
    for text in range(len(rows)):
        start, end = stream.starts[text], stream.starts[text + 1] - 1
        _count_characters(stream, start, end, (rows[text], letters))
        _count_sentences(stream, start, end, (rows[text], letters))
        rows[text, LZ_UNITS] = _lz_units(stream.codes, start, end, table)
    return rows


@compiled_inner
def _count_characters(stream: Stream, start: int, end: int, into: tuple[Ints, Letters]) -> None:
    row, letters = into
    run, longest, odd, depth, last = 0, 0, 0, 0, np.uint8(0)
    before = -1
    for place in range(start, end):
        code, kind = stream.codes[np.uint64(place)], stream.classes[np.uint64(place)]
        row[kind] += 1
        if kind > NEWLINE:
            last = kind
        run = run + 1 if code == before and kind > NEWLINE else 1
        longest, before = max(longest, run), code
        odd = odd + 1 if letters.odd[code] else 0
        if odd >= 3:
            row[ODD_RUNS] += 3 if odd == 3 else 1
        if kind == HANGUL and not letters.common[code]:
            row[RARE_SYLLABLES] += 1
        elif kind >= STOP:
            depth = max(0, depth + _bracket(code))
            row[FENCES] += run == 3 and code == 0x60
    row[OPEN_BRACKETS], row[LONGEST_RUN], row[LAST] = depth, longest, last


@compiled
def _bracket(code: int) -> int:
    if code == 0x28 or code == 0x5B or code == 0x7B:
        return 1
    return -(code == 0x29 or code == 0x5D or code == 0x7D)


@compiled_inner
def _count_sentences(stream: Stream, start: int, end: int, into: tuple[Ints, Letters]) -> None:
    row, letters = into
    last = -1
    for place in range(start, end):
        kind = stream.classes[place]
        if HANGUL <= kind <= FOREIGN:
            last = place
        if last >= 0 and (kind == STOP or kind == NEWLINE or place == end - 1):
            if stream.classes[last] == HANGUL:
                row[KOREAN_SENTENCES] += 1
                row[KOREAN_FINALS] += letters.finals[stream.codes[last]]
            last = -1


@compiled_inner
def _lz_units(codes: Codes, start: int, end: int, table: Ints) -> int:
    units, place = 0, start
    while place < end:
        length = 0
        if place + 4 <= end:
            at = np.uint64(place)
            mixed = np.uint64(codes[at]) | (np.uint64(codes[at + _ONE]) << np.uint64(16))
            mixed |= np.uint64(codes[at + _TWO]) << np.uint64(32)
            mixed |= np.uint64(codes[at + _THREE]) << np.uint64(48)
            slot = (mixed * _MULTIPLIER) >> np.uint64(64 - _TABLE_BITS)
            earlier = table[slot]
            table[slot] = place
            if earlier >= start:
                while place + length < end and codes[earlier + length] == codes[place + length]:
                    length += 1
        if length >= 4:
            units, place = units + 3, place + length
        else:
            units, place = units + 1, place + 1
    return units

"""What can be counted of a text character by character: classes, runs, brackets, sentences, how well it compresses."""
# ruff: noqa: PLR1714 - membership tests make the compiled loops several times slower
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
# of answers: literals, and three for every match, of greedy LZ77 as LZ4 does it; what is left when they are half as many
# as all characters counts as literals, for then the text is no repetition
LZ_UNITS: Final = CLASSES + 8
FIRST: Final = CLASSES + 9  # class of the first character
PROFILE: Final = CLASSES + 10

_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
_TABLE_BITS = 12
_ONE, _TWO, _THREE = np.uint64(1), np.uint64(2), np.uint64(3)
# classes that end sentences or hold brackets and fences, a bit each
_SIGNS = np.uint32((1 << NEWLINE) | sum(1 << kind for kind in range(STOP, CLASSES)))
_LANES = 4
_FENCE = 0x60
# all that a wrong encoding shows lies here
_FIRST_ODD, _LAST_ODD = 0x80, 0x2122
Places = NDArray[np.uint32]


class Letters(NamedTuple):
    """Tables over the plane: what a wrong encoding shows, rare syllables, syllables that end Korean sentences."""

    odd: NDArray[np.bool_]
    rare: NDArray[np.bool_]
    finals: NDArray[np.bool_]


@compiled
def profiles_of(stream: Stream, letters: Letters) -> Ints:
    """Profile of each text [texts, PROFILE]; those with odd numbers are answers."""
    rows = np.zeros((len(stream.starts) - 1, PROFILE), dtype=np.int64)
    table = np.full(1 << _TABLE_BITS, -1, dtype=np.int32)
    counts, longest = np.zeros(_LANES * CLASSES, dtype=np.uint32), 0
    for text in range(len(rows)):
        longest = max(longest, stream.starts[text + 1] - stream.starts[text])
    signs = np.empty(longest + 1, np.uint32)
    for text in range(len(rows)):
        start, end = stream.starts[text], stream.starts[text + 1] - 1
        row = rows[text]
        _count_classes(stream, start, end, (row, counts))
        row[LONGEST_RUN] = _longest_run(stream, start, end)
        row[ODD_RUNS] = _odd_runs(stream.codes, start, end, letters.odd)
        if row[HANGUL]:
            row[RARE_SYLLABLES] = _count_marked(stream.codes, start, end, letters.rare)
        _read_signs(stream, start, end, (row, letters, signs))
        row[LAST] = _last_class(stream, start, end)
        row[FIRST] = stream.classes[start]
        if text % 2 == 1:
            row[LZ_UNITS] = _lz_units(stream.codes, start, end, table)
    return rows


@compiled_inner
def _count_classes(stream: Stream, start: int, end: int, into: tuple[Ints, Places]) -> None:
    """Counts in several lanes, for a count that follows one of the same class would wait for it."""
    row, counts = into
    for cell in range(_LANES * CLASSES):
        counts[cell] = 0
    whole = start + (end - start) // _LANES * _LANES
    for place in range(start, whole, _LANES):
        for lane in range(_LANES):
            counts[np.uint64(lane * CLASSES + stream.classes[np.uint64(place + lane)])] += np.uint32(1)
    for place in range(whole, end):
        counts[np.uint64(stream.classes[np.uint64(place)])] += np.uint32(1)
    for kind in range(CLASSES):
        for lane in range(_LANES):
            row[kind] += counts[lane * CLASSES + kind]


@compiled_inner
def _longest_run(stream: Stream, start: int, end: int) -> int:
    """Characters of the longest run of one; few texts hold a run of three, so one by one is looked only there."""
    codes, classes = stream.codes, stream.classes
    pairs, threes = np.uint8(0), np.uint8(0)
    for place in range(start, end - 1):
        at = np.uint64(place)
        pair = (codes[at] == codes[at + _ONE]) & (classes[at + _ONE] > NEWLINE)
        next_pair = (codes[at + _ONE] == codes[at + _TWO]) & (classes[at + _TWO] > NEWLINE)
        pairs |= np.uint8(pair)
        threes |= np.uint8(pair & next_pair)
    if threes == 0:
        return min(end - start, 1 + np.int64(pairs))
    run, longest = 1, 1
    for place in range(start + 1, end):
        at = np.uint64(place)
        run = run + 1 if (codes[at] == codes[at - _ONE]) & (classes[at] > NEWLINE) else 1
        longest = max(longest, run)
    return longest


@compiled_inner
def _odd_runs(codes: Codes, start: int, end: int, odd: NDArray[np.bool_]) -> int:
    """Characters in runs of three and more of what a wrong encoding shows."""
    some = np.uint8(0)
    for place in range(start, end):
        code = codes[np.uint64(place)]
        some |= np.uint8((code >= _FIRST_ODD) & (code <= _LAST_ODD))
    if some == 0:
        return 0
    run, total = 0, 0
    for place in range(start, end):
        run = run + 1 if odd[codes[np.uint64(place)]] else 0
        if run >= 3:
            total += 3 if run == 3 else 1
    return total


@compiled_inner
def _count_marked(codes: Codes, start: int, end: int, marked: NDArray[np.bool_]) -> int:
    count = 0
    for place in range(start, end):
        count += marked[codes[np.uint64(place)]]
    return count


@compiled_inner
def _last_class(stream: Stream, start: int, end: int) -> int:
    """Of the last character that is no space, 0 if there is none."""
    for back in range(end - start):
        kind = stream.classes[np.uint64(end - 1 - back)]
        if kind > NEWLINE:
            return kind
    return np.uint8(0)


@compiled_inner
def _read_signs(stream: Stream, start: int, end: int, into: tuple[Ints, Letters, Places]) -> None:
    """Counts brackets that stay open, fences and sentences, of which a sign, a new line or the end of the text is the end."""
    row, letters, signs = into
    count = np.uint64(0)
    for place in range(start, end):  # written at every place and only kept by a step of the count
        signs[count] = place
        count += np.uint64((_SIGNS >> np.uint32(stream.classes[np.uint64(place)])) & np.uint32(1))
    depth, after = 0, start
    for sign in range(np.int64(count)):
        place = np.int64(signs[sign])
        if stream.classes[place] == STOP or stream.classes[place] == NEWLINE:
            _count_sentence(stream, after, place, (row, letters))
            after = place + 1
            continue
        depth = max(0, depth + _bracket(stream.codes[place]))
        row[FENCES] += stream.codes[place] == _FENCE and _is_third(stream, place)
    _count_sentence(stream, after, end, (row, letters))
    row[OPEN_BRACKETS] = depth


@compiled_inner
def _bracket(code: int) -> int:
    if code == 0x28 or code == 0x5B or code == 0x7B:
        return 1
    return -(code == 0x29 or code == 0x5D or code == 0x7D)


@compiled_inner
def _is_third(stream: Stream, place: int) -> bool:
    """Whether the character stands here for the third time in a row."""
    codes, classes = stream.codes, stream.classes
    code = codes[place]
    if codes[place - 1] != code or codes[place - 2] != code or classes[place - 1] <= NEWLINE:
        return False
    return codes[place - 3] != code or classes[place - 2] <= NEWLINE


@compiled_inner
def _count_sentence(stream: Stream, start: int, end: int, into: tuple[Ints, Letters]) -> None:
    """Counts a sentence if its last letter is a Korean one."""
    row, letters = into
    for back in range(end - start):
        place = np.uint64(end - 1 - back)
        if HANGUL <= stream.classes[place] <= FOREIGN:
            if stream.classes[place] == HANGUL:
                row[KOREAN_SENTENCES] += 1
                row[KOREAN_FINALS] += letters.finals[stream.codes[place]]
            return


@compiled_inner
def _lz_units(codes: Codes, start: int, end: int, table: NDArray[np.int32]) -> int:
    units, place, most = 0, start, (end - start + 1) // 2
    while place + 4 <= end and units < most:
        at = np.uint64(place)
        mixed = np.uint64(codes[at]) | (np.uint64(codes[at + _ONE]) << np.uint64(16))
        mixed |= np.uint64(codes[at + _TWO]) << np.uint64(32)
        mixed |= np.uint64(codes[at + _THREE]) << np.uint64(48)
        slot = (mixed * _MULTIPLIER) >> np.uint64(64 - _TABLE_BITS)
        earlier = np.int64(table[slot])
        table[slot] = place
        length = _common(codes, earlier, place, end) if earlier >= start else 0
        units += 3 if length >= 4 else 1
        place += length if length >= 4 else 1
    return units + end - place


@compiled_inner
def _common(codes: Codes, earlier: int, place: int, end: int) -> int:
    length = 0
    while place + length < end and codes[np.uint64(earlier + length)] == codes[np.uint64(place + length)]:
        length += 1
    return length

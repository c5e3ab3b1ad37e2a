"""Undoes what hides words from a lexicon: signs between syllables, spaced letters, digits for letters, drawn-out letters.

What is to be undone is marked in passes without branches, which the processor does for dozens of characters at a time; only
the few marked places are then looked at one by one.
"""
# ruff: noqa: PLR1714 - membership tests make the compiled loops several times slower
# numpy's scalars are the integers of compiled loops:
# pyright: reportArgumentType=false, reportReturnType=false

from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from loopwright.compiling import compiled
from loopwright.toxicity.characters import (
    CLASSES,
    CODE,
    DIGIT,
    FOREIGN,
    HAN,
    HANGUL,
    JAMO,
    LOWER,
    NEWLINE,
    OTHER,
    PUNCTUATION,
    SPACE,
    STOP,
    UPPER,
)
from loopwright.toxicity.streams import Classes, Codes, Ints, Stream

# traits of classes, a bit each
_KOREAN, _LATIN, _DIGIT, _SIGN, _STOP, _BLANK, _LETTER = 1, 2, 4, 8, 16, 32, 64
_BETWEEN = _DIGIT | _SIGN | _STOP  # what is taken out from between syllables, or stands for a letter
_SPACED = _SIGN | _STOP | _BLANK  # what is taken out from between single letters
_TRAITS: Final = {
    OTHER: _BLANK,
    SPACE: _BLANK,
    NEWLINE: _BLANK,
    HANGUL: _KOREAN | _LETTER,
    JAMO: _KOREAN | _LETTER,
    LOWER: _LATIN | _LETTER,
    UPPER: _LATIN | _LETTER,
    DIGIT: _DIGIT | _LETTER,
    HAN: _LETTER,
    FOREIGN: _LETTER,
    STOP: _STOP,
    PUNCTUATION: _SIGN,
    CODE: _SIGN,
}
_TRAITS_OF: Final = np.array([_TRAITS.get(kind, 0) for kind in range(CLASSES)], dtype=np.uint8)
_GONE, _MASKED = 1, 2  # marks
_Value = TypeVar("_Value", bound=np.generic)


def squeezed(stream: Stream) -> Stream:
    """The texts without disguises; what is gone from a text leaves no place."""
    return _squeezed(stream, _TRAITS_OF)


@compiled
def _squeezed(stream: Stream, traits_of: Classes) -> Stream:
    gone, masked = _places(_marks(stream, traits_of))
    codes, classes = stream.codes.copy(), stream.classes.copy()
    for place in masked:
        codes[place], classes[place] = _letter_for(codes[place]), LOWER
    starts = stream.starts.copy()
    before = 0
    for text in range(len(starts)):
        while before < len(gone) and gone[before] < stream.starts[text]:
            before += 1
        starts[text] -= before
    return Stream(_without(codes, gone), _without(classes, gone), starts, _without(stream.edge, gone))


@compiled
def _marks(stream: Stream, traits_of: Classes) -> Classes:
    """What is to be done at each place; longer than the stream, by what is missing of eight."""
    codes, classes = stream.codes, stream.classes
    traits = np.empty(len(codes), np.uint8)
    for place in range(len(codes)):
        traits[place] = traits_of[classes[place]]
    marks = np.zeros((len(codes) + 7) // 8 * 8, np.uint8)
    _mark_masked(codes, traits, marks)
    _mark_spaced(classes, traits, marks)
    _mark_between(traits, marks)
    _mark_drawn_out(codes, traits, marks)
    for start in stream.starts:  # the empty place before a text is no space
        marks[start - 1] = 0
    return marks


@compiled
def _mark_masked(codes: Codes, traits: Classes, marks: Classes) -> None:
    """Digits and signs that stand for a letter beside Latin letters; a full stop or mark only before one."""
    for before in range(len(traits) - 2):
        code, kind = codes[before + 1], traits[before + 1]
        stands = (code == 0x30) | (code == 0x31) | (code == 0x21) | (code == 0x33) | (code == 0x34)
        stands |= (code == 0x40) | (code == 0x35) | (code == 0x24) | (code == 0x37)
        front = ((traits[before] & _LATIN) != 0) & ((kind & _STOP) == 0)
        beside = ((traits[before + 2] & _LATIN) != 0) | front
        marks[before + 1] = _MASKED if stands & beside & ((kind & _BETWEEN) != 0) else 0


@compiled
def _mark_spaced(classes: Classes, traits: Classes, marks: Classes) -> None:
    """One sign or space between single letters of the same class."""
    for front in range(len(traits) - 4):
        before, after = front + 1, front + 3
        alike = (classes[before] == classes[after]) & ((traits[before] & (_KOREAN | _LATIN)) != 0)
        single = ((traits[front] | traits[front + 4]) & _LETTER) == 0
        hides = alike & single & ((traits[front + 2] & _SPACED) != 0)
        marks[front + 2] |= _GONE if hides else 0


@compiled
def _mark_between(traits: Classes, marks: Classes) -> None:
    """One or two digits or signs right between Korean letters."""
    for front in range(len(traits) - 4):
        before, after = traits[front + 1], traits[front + 3]
        far = ((before & _BETWEEN) != 0) & ((traits[front] & _KOREAN) != 0)
        near = ((after & _BETWEEN) != 0) & ((traits[front + 4] & _KOREAN) != 0)
        left, right = (before & _KOREAN) != 0, (after & _KOREAN) != 0
        between = (left & right) | (left & near) | (far & right)
        marks[front + 2] |= _GONE if between & ((traits[front + 2] & _BETWEEN) != 0) else 0


@compiled
def _mark_drawn_out(codes: Codes, traits: Classes, marks: Classes) -> None:
    """Of three or more equal Latin letters all but the first."""
    for front in range(len(traits) - 4):
        code = codes[front + 2]
        equal = (codes[front + 1] == code) & ((codes[front] == code) | (codes[front + 3] == code))
        marks[front + 2] |= _GONE if equal & ((traits[front + 2] & _LATIN) != 0) else 0


@compiled
def _places(marks: Classes) -> tuple[Ints, Ints]:
    """Where something is gone and, among the rest, where something stands for a letter; eight places a step."""
    eights, some = marks.view(np.uint64), 0
    for place in range(len(marks)):
        some += marks[place] != 0
    gone, masked = np.empty(some, np.int64), np.empty(some, np.int64)
    many, few = 0, 0
    for eight in range(len(eights)):
        if eights[eight] == 0:
            continue
        for place in range(8 * eight, 8 * eight + 8):
            if marks[place] & _GONE:
                gone[many] = place
                many += 1
            elif marks[place]:
                masked[few] = place
                few += 1
    return gone[:many], masked[:few]


@compiled
def _without(values: NDArray[_Value], gone: Ints) -> NDArray[_Value]:
    kept = np.empty(len(values) - len(gone), values.dtype)
    first = 0
    for passed in range(len(gone) + 1):
        end = gone[passed] if passed < len(gone) else len(values)
        into, source = kept[first - passed : end - passed], values[first:end]
        for place in range(len(source)):
            into[place] = source[place]
        first = end + 1
    return kept


@compiled
def _letter_for(code: int) -> int:
    if code == 0x30:
        return np.uint16(0x6F)
    if code == 0x31 or code == 0x21:
        return np.uint16(0x69)
    if code == 0x33:
        return np.uint16(0x65)
    if code == 0x34 or code == 0x40:
        return np.uint16(0x61)
    if code == 0x35 or code == 0x24:
        return np.uint16(0x73)
    return np.uint16(0x74)

"""Undoes what hides words from a lexicon: signs between syllables, spaced letters, digits for letters, drawn-out letters.

What is to be undone is marked in passes without branches, which the processor does for dozens of characters at a time; only
the few marked places are then looked at one by one.
"""
# ruff: noqa: PLR1714 - membership tests make the compiled loops several times slower
# numpy's scalars are the integers of compiled loops:
# pyright: reportArgumentType=false, reportReturnType=false

from typing import NamedTuple

import numpy as np

from loopwright.compiling import compiled, compiled_inner
from loopwright.toxicity.characters import (
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
    STOP,
    UPPER,
)
from loopwright.toxicity.streams import Classes, Codes, Ints, Stream

# traits of classes, a bit each
_KOREAN, _LATIN, _DIGIT, _SIGN, _STOP, _BLANK, _LETTER = 1, 2, 4, 8, 16, 32, 64
_BETWEEN = _DIGIT | _SIGN | _STOP  # what is taken out from between syllables, or stands for a letter
_SPACED = _SIGN | _STOP | _BLANK  # what is taken out from between single letters
_GONE, _MASKED = 1, 2  # marks


class Undisguised(NamedTuple):
    """Those of some texts that hide words, without what hides them.

    Attributes:
        texts: Their numbers, in order.
        stream: They themselves; what is gone from a text leaves no place.
    """

    texts: Ints
    stream: Stream


def undisguised(stream: Stream) -> Undisguised:
    """The texts with disguises, without them; most texts have none."""
    return _undisguised(stream, _marks(stream))


@compiled
def _undisguised(stream: Stream, marks: Classes) -> Undisguised:
    places = _places(marks)
    texts = _texts_of(places, stream.starts)
    room = 3
    for text in texts:
        room += stream.starts[text + 1] - stream.starts[text]
    codes, classes, edge = np.zeros(room, np.uint16), np.full(room, OTHER, np.uint8), np.zeros(room, np.bool_)
    plain = Stream(codes, classes, np.empty(len(texts) + 1, np.int64), edge)
    nth, at = 0, 2
    for number in range(len(texts)):
        plain.starts[number] = at
        first, end = stream.starts[texts[number]], stream.starts[texts[number] + 1] - 1
        while nth < len(places) and places[nth] < end:
            at = _copy(stream, first, places[nth], (plain, at))
            first = places[nth] + 1
            if marks[places[nth]] & _GONE == 0:
                codes[at], classes[at] = _letter_for(stream.codes[places[nth]]), LOWER
                edge[at] = stream.edge[places[nth]]
                at += 1
            nth += 1
        at = _copy(stream, first, end, (plain, at)) + 1
    plain.starts[len(texts)] = at
    return Undisguised(texts, Stream(codes[: at + 1], classes[: at + 1], plain.starts, edge[: at + 1]))


@compiled
def _texts_of(places: Ints, starts: Ints) -> Ints:
    """The texts that hold some places."""
    texts, text, count = np.empty(min(len(places), len(starts)), np.int64), -1, 0
    for place in places:
        if text < 0 or place >= starts[text + 1]:
            while place >= starts[text + 1]:
                text += 1
            texts[count] = text
            count += 1
    return texts[:count].copy()


@compiled_inner
def _copy(stream: Stream, first: int, end: int, into: tuple[Stream, int]) -> int:
    """Copies a run of characters to a place of another stream; gives the place behind it."""
    plain, at = into
    for offset in range(end - first):
        to, place = np.uint64(at + offset), np.uint64(first + offset)
        plain.codes[to] = stream.codes[place]
        plain.classes[to] = stream.classes[place]
        plain.edge[to] = stream.edge[place]
    return at + max(0, end - first)


@compiled
def _marks(stream: Stream) -> Classes:
    """What is to be done at each place; longer than the stream, by what is missing of eight."""
    codes, classes = stream.codes, stream.classes
    traits = np.empty(len(codes), np.uint8)
    _read_traits(classes, traits)
    marks = np.zeros((len(codes) + 7) // 8 * 8, np.uint8)
    _mark_masked(codes, traits, marks)
    _mark_spaced(classes, traits, marks)
    _mark_between(traits, marks)
    _mark_drawn_out(codes, traits, marks)
    for start in stream.starts:  # the empty place before a text is no space
        marks[start - 1] = 0
    return marks


@compiled
def _read_traits(classes: Classes, traits: Classes) -> None:
    """Asks for each class instead of looking into a table, for so the processor tells dozens at a time."""
    for place in range(len(classes)):
        kind = classes[place]
        some = np.uint8(_BLANK) * np.uint8(kind <= NEWLINE)
        some |= np.uint8(_KOREAN | _LETTER) * np.uint8((kind == HANGUL) | (kind == JAMO))
        some |= np.uint8(_LATIN | _LETTER) * np.uint8((kind == LOWER) | (kind == UPPER))
        some |= np.uint8(_DIGIT | _LETTER) * np.uint8(kind == DIGIT)
        some |= np.uint8(_LETTER) * np.uint8((kind == HAN) | (kind == FOREIGN))
        some |= np.uint8(_STOP) * np.uint8(kind == STOP)
        some |= np.uint8(_SIGN) * np.uint8((kind == PUNCTUATION) | (kind == CODE))
        traits[place] = some


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
def _places(marks: Classes) -> Ints:
    """Where there is something to be done; eight places a step."""
    eights, some = marks.view(np.uint64), 0
    for place in range(len(marks)):
        some += marks[place] != 0
    places, count = np.empty(some, np.int64), 0
    for eight in range(len(eights)):
        if eights[eight] == 0:
            continue
        for place in range(8 * eight, 8 * eight + 8):
            if marks[place]:
                places[count] = place
                count += 1
    return places


@compiled_inner
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

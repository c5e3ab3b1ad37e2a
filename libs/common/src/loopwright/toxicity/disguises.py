"""Undoes what hides words from a lexicon: signs between syllables, spaced letters, digits for letters, drawn-out letters."""
# ruff: noqa: PLR1714, SIM109 - membership tests make the compiled loops several times slower
# numpy's scalars are the integers of compiled loops:
# pyright: reportArgumentType=false, reportReturnType=false

import numpy as np
from numpy.typing import NDArray

from loopwright.compiling import compiled, compiled_inner
from loopwright.toxicity.characters import (
    BROKEN,
    CODE,
    DIGIT,
    FOREIGN,
    HANGUL,
    JAMO,
    LOWER,
    NEWLINE,
    STOP,
    UPPER,
)
from loopwright.toxicity.streams import Stream


@compiled
def squeezed(stream: Stream) -> Stream:
    size = len(stream.codes)
    old_codes, old_classes = stream.codes, stream.classes
    codes, classes, edge = np.empty(size, np.uint32), np.empty(size, np.uint8), np.empty(size, np.bool_)
    starts = np.zeros(len(stream.starts), dtype=np.int64)
    count = 0
    for text in range(len(stream.starts) - 1):
        start, end = stream.starts[text], stream.starts[text + 1]
        for place in range(start, end):
            kind = old_classes[place]
            code = old_codes[place]
            if kind == LOWER or kind == UPPER:
                if place > start and old_codes[place - 1] == code and _is_drawn_out(old_codes, place, (start, end)):
                    continue
            elif _may_hide(kind):
                if _is_hiding(old_classes, place, (start, end)):
                    continue
                code = _unmasked(code, old_classes, place, (start, end))
            codes[count], edge[count] = code, stream.edge[place]
            classes[count] = kind if code == old_codes[place] else LOWER
            count += 1
        starts[text + 1] = count
    return Stream(codes[:count].copy(), classes[:count].copy(), starts, edge[:count].copy())


@compiled
def _may_hide(kind: int) -> bool:
    return kind < HANGUL or kind == DIGIT or STOP <= kind < BROKEN


@compiled_inner
def _is_hiding(classes: NDArray[np.uint8], place: int, bounds: tuple[int, int]) -> bool:
    """One or two digits or signs right between Korean letters; one sign or space between single letters."""
    if place == bounds[0] or place == bounds[1] - 1:
        return False
    kind, before, after = classes[place], classes[place - 1], classes[place + 1]
    front = classes[place - 2] if place - 2 >= bounds[0] else np.uint8(0)
    behind = classes[place + 2] if place + 2 < bounds[1] else np.uint8(0)
    if kind > NEWLINE and _is_between_syllables((front, before), (after, behind)):
        return True
    if kind == DIGIT or before != after or not HANGUL <= before <= UPPER:
        return False
    return not HANGUL <= front <= FOREIGN and not HANGUL <= behind <= FOREIGN


@compiled
def _is_between_syllables(left: tuple[int, int], right: tuple[int, int]) -> bool:
    if _is_korean(left[1]):
        return _is_korean(right[0]) or (_is_sign(right[0]) and _is_korean(right[1]))
    return _is_korean(right[0]) and _is_sign(left[1]) and _is_korean(left[0])


@compiled
def _is_korean(kind: int) -> bool:
    return kind == HANGUL or kind == JAMO


@compiled
def _is_sign(kind: int) -> bool:
    return kind == DIGIT or STOP <= kind <= CODE


@compiled_inner
def _is_drawn_out(codes: NDArray[np.uint32], place: int, bounds: tuple[int, int]) -> bool:
    """Whether three or more equal letters stand here, and this is not the first of them; the one before is equal."""
    code = codes[place]
    if place + 1 < bounds[1] and codes[place + 1] == code:
        return True
    return place - 2 >= bounds[0] and codes[place - 2] == code


@compiled_inner
def _unmasked(code: int, classes: NDArray[np.uint8], place: int, bounds: tuple[int, int]) -> int:
    """The letter that a digit or sign stands for beside Latin letters; a full stop or mark only before one."""
    kind = classes[place]
    if kind <= NEWLINE:
        return code
    before = classes[place - 1] if place > bounds[0] else np.uint8(0)
    after = classes[place + 1] if place < bounds[1] - 1 else np.uint8(0)
    if LOWER <= after <= UPPER or (kind != STOP and LOWER <= before <= UPPER):
        return _letter_for(code)
    return code


@compiled
def _letter_for(code: int) -> int:
    if code == 0x30:
        return np.uint32(0x6F)
    if code == 0x31 or code == 0x21:
        return np.uint32(0x69)
    if code == 0x33:
        return np.uint32(0x65)
    if code == 0x34 or code == 0x40:
        return np.uint32(0x61)
    if code == 0x35 or code == 0x24:
        return np.uint32(0x73)
    return np.uint32(0x74) if code == 0x37 else np.uint32(code)

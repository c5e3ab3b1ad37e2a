"""Cuts UTF-8 text into pieces as byte-level BPE tokenizers do before they merge: in one compiled pass, without a regex.

Every sign is one step of an automaton (`automata.py`), which says where a piece ends: before the sign, before the sign
before it, or after the last line break.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from loopwright.compiling import compiled, compiled_inner

KINDS = 16  # room for one step of each kind of sign in a state
CUT_HERE, CUT_BEFORE_LAST, CUT_AFTER_LINE, MARK_LINE, ODD = 1, 2, 4, 8, 16
_EARLIER, _STATE = CUT_BEFORE_LAST | CUT_AFTER_LINE, 5
_SELDOM = _EARLIER | MARK_LINE | ODD
END = 0  # kind of what comes after the last sign

Bytes = NDArray[np.uint8]
Ints = NDArray[np.int64]


class Rules(NamedTuple):
    """How to cut.

    Attributes:
        kinds: Kind of every code point, `uint8 [0x110000]`.
        steps: `int32 [states * KINDS]`; by state and kind what to do, and above these bits KINDS times the next state.
    """

    kinds: NDArray[np.uint8]
    steps: NDArray[np.int32]


class Texts(NamedTuple):
    """Texts in one buffer.

    Attributes:
        content: Valid UTF-8; text i is `content[offsets[i]:offsets[i + 1]]`.
        offsets: One more than there are texts.
        odd: By text, whether it is to be left uncut.
    """

    content: Bytes
    offsets: Ints
    odd: NDArray[np.bool_]


@compiled
def cut(texts: Texts, rules: Rules, ends: Ints, firsts: Ints) -> None:
    """Writes where pieces end to `ends`, and how many come before each text to `firsts`.

    There is one for every byte at most; `ends` has room for one more.

    A text that holds a sign of no sure kind becomes odd and has none.
    """
    found = 0
    for text in range(len(texts.odd)):
        firsts[text] = found
        if texts.odd[text]:
            continue
        after = _cut_text(texts.content, (texts.offsets[text], texts.offsets[text + 1]), rules, ends, found)
        texts.odd[text] = after < 0
        found = max(found, after)
    firsts[len(texts.odd)] = found


@compiled_inner
def _cut_text(content: Bytes, span: tuple[int, int], rules: Rules, ends: Ints, found: int) -> int:
    """How many pieces are found by now, or -1.

    An end is written at every place and only kept by a step of the count, for nobody can foresee where a piece ends.
    """
    kinds, steps = rules
    start = last = line = place = span[0]
    end, step = span[1], 0
    while place <= end:
        kind, size = END, 1
        if place < end:
            code, size = _next_sign(content, place)
            kind = int(kinds[np.uint64(code)])
        step = int(steps[np.uint64((step >> _STATE) + kind)])
        if step & _SELDOM:
            if step & ODD:
                return -1
            if step & _EARLIER:
                start, found = _end_earlier(step, (last, line), ends, found)
            if step & MARK_LINE:
                line = place + size
        here = (step & CUT_HERE) & int(place > start)
        ends[np.uint64(found)] = place
        found += here
        start = place if here else start
        last, place = place, place + size
    return found


@compiled_inner
def _end_earlier(step: int, places: tuple[int, int], ends: Ints, found: int) -> tuple[int, int]:
    """Ends pieces before the last sign and after the last line break; the new start, and how many are found by now."""
    last, line = places
    start = line
    if step & CUT_AFTER_LINE:
        ends[found] = line
        found += 1
    if step & CUT_BEFORE_LAST:
        ends[found], start = last, last
        found += 1
    return start, found


@compiled_inner
def _next_sign(content: Bytes, place: int) -> tuple[np.int64, int]:
    """Code point of valid UTF-8, and its length in bytes."""
    byte = np.int64(content[np.uint64(place)])
    if byte < 0x80:
        return byte, 1
    second = np.int64(content[np.uint64(place + 1)]) & 0x3F
    if byte < 0xE0:
        return ((byte & 0x1F) << 6) | second, 2
    third = np.int64(content[np.uint64(place + 2)]) & 0x3F
    if byte < 0xF0:
        return ((byte & 0x0F) << 12) | (second << 6) | third, 3
    return ((byte & 0x07) << 18) | (second << 12) | (third << 6) | (np.int64(content[np.uint64(place + 3)]) & 0x3F), 4

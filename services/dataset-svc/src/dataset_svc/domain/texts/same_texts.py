"""`same_text` for many texts: one look at their bytes tells which are written so already, as most are.

What numba's cache on disk notices is a change of this file only, so the loops are complete in themselves.
"""
# numpy's scalars are the integers of compiled loops:
# pyright: reportArgumentType=false, reportReturnType=false

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dataset_svc.domain.samples import same_text
from loopwright.compiling import compiled, compiled_inner

_AS_IT_IS: Final = 0
_SPACED: Final = 1  # composed, but spaces are doubled, at an end, or line ends and the like
_OTHER: Final = 2


def same_texts(texts: Sequence[str]) -> tuple[list[str], list[bytes]]:
    """What `same_text` makes of each text, and that in UTF-8.

    Raises:
        UnicodeEncodeError: one holds half of a surrogate pair.
    """
    same, encoded = list(texts), [text.encode() for text in texts]
    ends = np.cumsum(np.fromiter(map(len, encoded), dtype=np.int64, count=len(encoded)))
    states = np.empty(len(encoded), dtype=np.uint8)
    _tell(np.frombuffer(b"".join((*encoded, b"\0")), dtype=np.uint8), ends, states)
    for place in np.flatnonzero(states).tolist():
        same[place] = " ".join(same[place].split()) if states[place] == _SPACED else same_text(same[place])
        encoded[place] = same[place].encode()
    return same, encoded


@compiled
def _tell(content: NDArray[np.uint8], ends: NDArray[np.int64], states: NDArray[np.uint8]) -> None:
    """How each text is written, as far as characters tell that compose with nothing: ASCII, Hangul, Han, common signs."""
    start = 0
    for text in range(len(ends)):
        end = ends[text]
        place, space, state = start, True, _AS_IT_IS
        while place < end:
            byte = content[place]
            if 0x20 < byte < 0x7F:
                place, space = place + 1, False
            elif byte == 0x20:
                state = state if not space else _SPACED
                place, space = place + 1, True
            elif 0x09 <= byte <= 0x0D or 0x1C <= byte <= 0x1F:
                place, state = place + 1, _SPACED
            elif _composes_with_nothing(content, place):
                place, space = place + 3, False
            else:
                state = _OTHER
                break
        states[text] = _SPACED if state == _AS_IT_IS and space and end > start else state
        start = end


@compiled_inner
def _composes_with_nothing(content: NDArray[np.uint8], place: int) -> bool:
    """Whether three bytes of valid UTF-8 are a syllable (U+AC00-D7A3), a Han sign (U+4E00-9FFF) or U+2010-2027."""
    lead, second = content[place], content[place + 1]
    if 0xE5 <= lead <= 0xE9 or 0xEB <= lead <= 0xEC:
        return True
    if lead == 0xEA:
        return second >= 0xB0
    if lead == 0xED:
        return second < 0x9E or (second == 0x9E and content[place + 2] <= 0xA3)
    if lead == 0xE4:
        return second >= 0xB8
    return lead == 0xE2 and second == 0x80 and 0x90 <= content[place + 2] <= 0xA7

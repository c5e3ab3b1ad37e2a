"""`same_text` for many texts: one look at their bytes tells which are written so already, as most are.

What numba's cache on disk notices is a change of this file only, so the loops are complete in themselves.
"""
# numpy's scalars are the integers of compiled loops:
# pyright: reportArgumentType=false, reportReturnType=false

from collections.abc import Iterable
from typing import Final, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from dataset_svc.domain.samples import same_text
from loopwright.compiling import compiled, compiled_inner

_AS_IT_IS: Final = 0
_SPACED: Final = 1  # composed, but spaces are doubled, at an end, or line ends and the like
_OTHER: Final = 2
Bytes = NDArray[np.uint8]


class Texts(NamedTuple):
    """Texts, and each of them in UTF-8."""

    texts: list[str]
    utf_8: list[bytes]

    @classmethod
    def of(cls, texts: Iterable[str]) -> Self:
        """Writes texts in UTF-8.

        Raises:
            UnicodeEncodeError: one holds half of a surrogate pair.
        """
        own = list(texts)
        return cls(own, [text.encode() for text in own])


def same_texts(texts: Texts) -> Texts:
    """What `same_text` makes of each text."""
    same, encoded = texts.texts.copy(), texts.utf_8.copy()
    ends = np.cumsum(np.fromiter(map(len, encoded), dtype=np.int64, count=len(encoded)))
    states = np.empty(len(encoded), dtype=np.uint8)
    _tell(np.frombuffer(b"".join((b"\0", *encoded, b"\0\0")), dtype=np.uint8), ends, states)
    for place in np.flatnonzero(states).tolist():
        same[place] = " ".join(same[place].split()) if states[place] == _SPACED else same_text(same[place])
        encoded[place] = same[place].encode()
    return Texts(same, encoded)


@compiled
def _tell(content: Bytes, ends: NDArray[np.int64], states: Bytes) -> None:
    """How each text is written, as far as characters tell that compose with nothing: ASCII, Hangul, Han, common signs.

    Args:
        content: The texts, a byte before and two behind them.
        ends: Of the texts, without that byte.
    """
    start = 1
    for text in range(len(ends)):
        end = ends[text] + 1
        states[text] = _state(content, start, end)
        if states[text] == _AS_IT_IS and end > start and (content[start] == 0x20 or content[end - 1] == 0x20):
            states[text] = _SPACED
        start = end


@compiled_inner
def _state(content: Bytes, start: int, end: int) -> int:
    """All bytes are looked at alike, without a branch, so that the processor looks at many at once."""
    other = spaced = False
    for at in range(start, end):
        place = np.uint64(at)
        byte, second, third = content[place], content[place + np.uint64(1)], content[place + np.uint64(2)]
        other |= _may_compose(byte, second, third)
        spaced |= (byte == 0x20) & (content[place - np.uint64(1)] == 0x20)
        spaced |= _within(byte, 0x09, 0x0D) | _within(byte, 0x1C, 0x1F)
    return _OTHER if other else _SPACED if spaced else _AS_IT_IS


@compiled_inner
def _may_compose(byte: np.uint8, second: np.uint8, third: np.uint8) -> bool:
    """Whether a byte of valid UTF-8 begins more than ASCII, a syllable (U+AC00-D7A3), a Han sign (U+4E00-9FFF) or U+2010-2027.

    Controls that are no white space do as well.
    """
    common = (byte == 0xE2) & (second == 0x80) & _within(third, 0x90, 0xA7)
    return (
        (byte < 0x09)
        | _within(byte, 0x0E, 0x1B)
        | (byte == 0x7F)
        | (_within(byte, 0xC0, 0xE3) & (not common))
        | ((byte == 0xE4) & (second < 0xB8))
        | ((byte == 0xEA) & (second < 0xB0))
        | ((byte == 0xED) & ((second > 0x9E) | ((second == 0x9E) & (third > 0xA3))))
        | (byte > 0xED)
    )


@compiled_inner
def _within(byte: np.uint8, first: int, last: int) -> bool:
    return np.uint8(byte - np.uint8(first)) <= np.uint8(last - first)

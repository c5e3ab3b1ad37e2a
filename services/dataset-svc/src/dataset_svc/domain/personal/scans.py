"""What texts are looked at with: what every character is, for the loops of `scanning.py`."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dataset_svc.domain.personal.scanning import (
    AHEAD,
    IS_DIGIT,
    IS_HANGUL,
    IS_HEXADECIMAL,
    IS_IN_NUMBER,
    IS_ODD,
    IS_OF_KEY,
    IS_TELLING,
    PLANE,
    TELLING_SYLLABLES,
    Codes,
    Scan,
    Tables,
    look,
)

_DASHES = frozenset((0x2010, 0x2011, 0x2012, 0x2013, 0x2014, 0x2212))
_SPACES = frozenset((0x00A0, 0x3000))
_MOST_KEPT: Final = 1 << 22  # characters, 16 MB


def _marked(chars: str) -> NDArray[np.bool_]:
    marks = np.zeros(PLANE, dtype=np.bool_)
    marks[[ord(char) for char in chars]] = True
    return marks


def _plain(code: int) -> int:
    if 0xFF01 <= code <= 0xFF5E:
        return code - 0xFEE0
    return ord("-") if code in _DASHES else ord(" ") if code in _SPACES else code


def _kind(code: int) -> int:
    char = chr(code)
    key = char.isascii() and (char.isalnum() or char in "+/_-.=~")
    telling = char in "0123456789:@" or (key and char.isupper()) or code in TELLING_SYLLABLES
    bits = (
        (IS_HANGUL, 0xAC00 <= code <= 0xD7A3),
        (IS_OF_KEY, key),
        (IS_DIGIT, char in "0123456789"),
        (IS_TELLING, telling),
        (IS_ODD, _plain(code) != code),
        (IS_IN_NUMBER, char in " .-()"),
        (IS_HEXADECIMAL, char in "0123456789abcdefABCDEF"),
    )
    return sum(int(bit) for bit, holds in bits if holds)


_TABLES: Final = Tables(
    plain=np.array([_plain(code) for code in range(PLANE)], dtype=np.uint32),
    places=_marked("읍면동리가로길산하"),
    titles=_marked("씨군양모기의교대회원경선감여남할"),
    kinds=np.array([_kind(code) for code in range(PLANE)], dtype=np.uint8),
)
# read one for one, so that places in the text stay the same
PLAIN_FORMS: Final = {code: _plain(code) for code in range(PLANE) if _plain(code) != code}


class Room:
    """Where the characters of one batch after another are put, since fresh memory costs more than putting them there."""

    def __init__(self) -> None:
        self._codes: Codes = np.empty(0, dtype=np.uint32)

    def codes_of(self, text: str) -> Codes:
        """The characters of a text that is not empty; what was given before is overwritten."""
        if len(text) > _MOST_KEPT:
            return _put(text, np.empty(len(text), dtype=np.uint32))
        if len(text) > len(self._codes):
            self._codes = np.empty(min(2 * len(text), _MOST_KEPT), dtype=np.uint32)
        return _put(text, self._codes[: len(text)])


def _put(text: str, codes: Codes) -> Codes:
    """Puts a text down as numpy's own text, which is several times as fast as encoding it."""
    codes.view(f"U{len(text)}")[0] = text
    return codes


def scan(texts: Sequence[str], room: Room | None = None) -> Scan:
    """Looks at all texts; time and memory grow with their characters.

    Args:
        room: Holds the characters that are given, until its next use; None for room of their own.
    """
    starts = np.zeros(len(texts) + 1, dtype=np.int64)
    np.cumsum(np.fromiter(map(len, texts), dtype=np.int64, count=len(texts)), out=starts[1:])
    codes = (room or Room()).codes_of("".join((*texts, " " * AHEAD)))
    return look(codes, starts, _TABLES)

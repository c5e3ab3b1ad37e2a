# numba types scalars by itself; what numpy's stubs make of their arithmetic is wrong for compiled code
# pyright: reportArgumentType=false, reportReturnType=false, reportAssignmentType=false, reportGeneralTypeIssues=false
"""Compiled scans of texts: which are Korean, and which need more than the ASCII rules before they are compared.

They call no loop of another file, for numba's cache on disk notices changes of a function's own file only.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from dataset_svc.domain.likeness.buffers import Texts
from loopwright.compiling import compiled

# code points that composition and case folding leave alone whatever inert ones stand beside them, and that are no space
INERT_RANGES: Final = (
    (0xAC00, 0xD7A3),  # Hangul syllables
    (0x4E00, 0x9FFF),  # Han
    (0x2010, 0x2027),  # dashes, quotation marks, bullets, ellipsis
    (0x2030, 0x205E),
    (0x3001, 0x3020),  # brackets and stops of East Asia
    (0x3131, 0x318E),  # single letters of Hangul
    (0x3041, 0x3096),  # Hiragana
    (0x30A1, 0x30FA),  # Katakana
    (0xFF01, 0xFF20),  # full-width signs and digits
    (0x20A0, 0x20BF),  # currencies
    (0x2190, 0x22FF),  # arrows and operators
    (0x2460, 0x249B),  # circled digits
    (0x2500, 0x27BF),  # boxes and signs
    (0x1F300, 0x1FAFF),  # pictures
)
_FIRST_BYTE, _LAST_BYTE = 0xEA, 0xED  # that Hangul syllables begin with in UTF-8


def hangul_shares_0_1(texts: Texts) -> NDArray[np.float64]:
    """Share of Hangul in the characters of each text."""
    shares = np.zeros(len(texts.starts))
    _count_hangul(texts, shares)
    return shares


@compiled
def _count_hangul(texts: Texts, shares: NDArray[np.float64]) -> None:
    for row in range(len(shares)):
        characters, hangul = 0, 0
        for place in range(texts.starts[row], texts.stops[row]):
            byte = texts.content[place]
            characters += (byte & 0xC0) != 0x80
            hangul += _FIRST_BYTE <= byte <= _LAST_BYTE
        if characters:
            shares[row] = hangul / characters


@compiled
def is_inert(code: int) -> bool:
    """Whether a code point beyond ASCII is its own composed, case-folded form in any inert neighbourhood."""
    for low, high in INERT_RANGES:  # noqa: SIM110 (numba compiles no generator expressions)
        if low <= code <= high:
            return True
    return False


@compiled
def mark_unplain(texts: Texts, marks: NDArray[np.bool_]) -> None:
    """Marks the texts with a character that the ASCII rules of the kernels' `read_codes` would get wrong."""
    for row in range(len(marks)):
        place, stop = texts.starts[row], texts.stops[row]
        while place < stop and not marks[row]:
            byte = texts.content[place]
            if byte < 0x80:
                place += 1
            elif 0xE5 <= byte <= 0xE9 or 0xEB <= byte <= 0xEC:  # all of U+5000-9FFF and U+B000-CFFF is inert
                place += 3
            else:
                code = np.uint32(byte & (0x1F if byte < 0xE0 else 0x0F if byte < 0xF0 else 0x07))
                place += 1
                while place < stop and (texts.content[place] & 0xC0) == 0x80:
                    code = (code << np.uint32(6)) | np.uint32(texts.content[place] & 0x3F)
                    place += 1
                marks[row] = not is_inert(code)

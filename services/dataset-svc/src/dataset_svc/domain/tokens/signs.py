"""Kinds of code points, taken from the regex engine that the tokenizer itself cuts with.

What is a letter or a number differs between versions of Unicode, so a table of our own would not stay right.
"""

import unicodedata
from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray

from dataset_svc.domain.tokens.automata import Kind

Erase = Callable[[str, str], str]  # pattern, text: the text without what the pattern matches
CODES = 0x110000
_PLANES = (range(0x40000), range(0xE0000, 0xF0000))  # the others are empty or private
_FAMILIES = ((r"\P{L}+", Kind.LETTER), (r"\P{N}+", Kind.NUMBER), (r"\S+", Kind.SPACE))
_SPECIAL = {"'": Kind.QUOTE, " ": Kind.BLANK, "\r": Kind.LINE, "\n": Kind.LINE}
_CONTRACTIONS = {"stmd": Kind.S_T_M_D, "rv": Kind.R_V, "e": Kind.E, "l": Kind.L}


@cache
def all_signs() -> str:
    """Every character that is known here, in order. What is newer may be known to some libraries only."""
    signs = (chr(code) for plane in _PLANES for code in plane)
    return "".join(sign for sign in signs if unicodedata.category(sign) not in {"Cn", "Cs"})


def kinds_of_signs(erase: Erase, *, caseless: bool) -> NDArray[np.uint8]:
    """Kind by code point, `uint8 [0x110000]`; UNSURE where the engine says more than one, or was not asked."""
    kinds = np.full(CODES, Kind.UNSURE, dtype=np.uint8)
    kinds[codes_of(all_signs())] = Kind.OTHER
    for pattern, kind in _FAMILIES:
        codes = codes_of(erase(pattern, all_signs()))
        kinds[codes] = np.where(kinds[codes] == Kind.OTHER, kind, Kind.UNSURE)
    for sign, kind in _SPECIAL.items():
        kinds[ord(sign)] = kind
    for letters, kind in _CONTRACTIONS.items():
        kinds[codes_of(letters)] = kind
    if caseless:
        _fold(kinds, erase)
    return kinds


def _fold(kinds: NDArray[np.uint8], erase: Erase) -> None:
    """Without case also capitals make contractions, and so do signs such as U+017F for s, which are left unsure."""
    for letters, kind in _CONTRACTIONS.items():
        kinds[codes_of(letters.upper())] = kind
        alike = codes_of(erase(f"(?i:[^{letters}])+", all_signs()))
        kinds[alike[alike >= 0x80]] = Kind.UNSURE


def codes_of(text: str) -> NDArray[np.uint32]:
    return np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32)


def leave_composed(kinds: NDArray[np.uint8], compose: Callable[[str], str]) -> None:
    """Makes every sign unsure that normal form C may change, move or join to the sign before it.

    A text of the others is in that form already (Unicode Standard Annex 15, quick check).
    """
    seconds = {part for sign in all_signs() for part in unicodedata.normalize("NFD", sign)[1:]}
    still = [sign for sign in all_signs() if sign != "\n" and sign not in seconds and _stays(sign)]
    same = [
        ord(sign) for sign, after in zip(still, compose("\n".join(still)).split("\n"), strict=True) if sign == after
    ]
    calm = np.zeros(CODES, dtype=np.bool_)
    calm[[ord("\n"), *same]] = True
    kinds[~calm] = Kind.UNSURE


def _stays(sign: str) -> bool:
    return not unicodedata.combining(sign) and unicodedata.normalize("NFC", sign) == sign

"""Tables over the basic multilingual plane: the class of a character, its folded form, and which syllables are common."""

import unicodedata
from typing import Final

import numpy as np
from numpy.typing import NDArray

OTHER: Final = 0
SPACE: Final = 1
NEWLINE: Final = 2
HANGUL: Final = 3
JAMO: Final = 4
LOWER: Final = 5
UPPER: Final = 6
DIGIT: Final = 7
HAN: Final = 8
FOREIGN: Final = 9  # letters of every other script
STOP: Final = 10
PUNCTUATION: Final = 11
CODE: Final = 12
BROKEN: Final = 13  # replacement, control, private use, unassigned, lone surrogates
ODD_LATIN: Final = 14  # what UTF-8 or CP949 turns into when it is read as Latin-1 or CP1252
CLASSES: Final = 15

_PLANE = 0x10000
STAND_IN: Final = 0x2603  # for what lies beyond the plane, emoji for the most part: a sign of class OTHER
_STOPS = ".!?。…?!"
_CODE_SIGNS = "{}[]<>=;_/\\|&*#@$%^~`+"
_ZERO_WIDTH = "\u200b\u200c\u200d\u2060\ufeff\u00ad\ufe0e\ufe0f"
# beyond Latin-1's own block: what CP1252 shows for bytes 0x80 to 0x9F
_CP1252 = "€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ"
_BY_CATEGORY = {
    "Ll": LOWER,
    "Lu": UPPER,
    "Lt": UPPER,
    "Nd": DIGIT,
    "Cc": BROKEN,
    "Co": BROKEN,
    "Cn": BROKEN,
    "Cs": BROKEN,
}


def _class_of(code: int) -> int:
    char = chr(code)
    if char in " \t\u00a0\u3000" or char in _ZERO_WIDTH:
        return SPACE
    if char in "\n\r\u2028\u2029":
        return NEWLINE
    if char in _STOPS:
        return STOP
    if char in _CODE_SIGNS:
        return CODE
    return _class_of_letter(char, code)


def _class_of_letter(char: str, code: int) -> int:
    if 0xAC00 <= code <= 0xD7A3:
        return HANGUL
    if 0x1100 <= code <= 0x11FF or 0x3131 <= code <= 0x318E:
        return JAMO
    if 0x4E00 <= code <= 0x9FFF or 0x3400 <= code <= 0x4DBF or 0xF900 <= code <= 0xFAFF:
        return HAN
    return _class_of_category(unicodedata.category(char), code)


def _class_of_category(category: str, code: int) -> int:
    if code == 0xFFFD:
        return BROKEN
    latin = code < 0x250 or 0x1E00 <= code < 0x1F00 or 0xFF21 <= code <= 0xFF5A
    if category in {"Ll", "Lu", "Lt", "Lm", "Lo"} and not latin:
        return FOREIGN
    if category in {"Mn", "Mc"}:
        return FOREIGN
    if category in _BY_CATEGORY:
        return _BY_CATEGORY[category]
    return PUNCTUATION if category.startswith("P") else OTHER


def _folded(code: int) -> int:
    """Lower case of one character in one character; full-width signs become ASCII."""
    if 0xFF01 <= code <= 0xFF5E:
        code -= 0xFEE0
    if code in {0x2018, 0x2019}:
        return 0x27
    low = chr(code).lower()
    return ord(low) if len(low) == 1 else code


def _is_common(code: int) -> bool:
    """Whether KS X 1001 holds the syllable; its 2,350 cover nearly all of written Korean."""
    try:
        return len(chr(code).encode("euc_kr")) == 2
    except UnicodeEncodeError:
        return False


def _odd_latin() -> NDArray[np.bool_]:
    odd = np.zeros(_PLANE, dtype=np.bool_)
    odd[0x80:0x100] = True
    odd[[ord(char) for char in _CP1252]] = True
    return odd


CLASS_OF: Final[NDArray[np.uint8]] = np.array([_class_of(code) for code in range(_PLANE)], dtype=np.uint8)
FOLDED: Final[NDArray[np.uint16]] = np.array([_folded(code) for code in range(_PLANE)], dtype=np.uint16)
ODD: Final[NDArray[np.bool_]] = _odd_latin()
COMMON: Final[NDArray[np.bool_]] = np.array(
    [0xAC00 <= code <= 0xD7A3 and _is_common(code) for code in range(_PLANE)], dtype=np.bool_
)
ZERO_WIDTH: Final[NDArray[np.bool_]] = np.isin(np.arange(_PLANE), [ord(char) for char in _ZERO_WIDTH])


def _implausible_pairs() -> NDArray[np.bool_]:
    """Pairs of letters [27, 27] that English words do not hold; by the first letter."""
    after = {
        "a": "a", "b": "cfgkqwxz", "c": "bdfgjpvwx", "d": "ckpqxz", "f": "bcdhjkmnpqvwxz", "g": "cfjkpqvxz",
        "h": "cgjkpqvxz", "i": "ijwy", "j": "bcdfghjklmnpqrstvwxyz", "k": "cjkpqvxz", "l": "hjqxz", "m": "cghjkqrvwxz",
        "n": "x", "o": "q", "p": "bcjkqvxz", "q": "abcdefghijklmnopqrstvwxyz", "r": "jqxz", "s": "jvxz", "t": "jkqvx",
        "u": "w", "v": "bcdfghjklmnpqrstwxz", "w": "cgjmqvxz", "x": "bdfgjkmnrsvwz", "y": "jqvxy",
        "z": "bcdfghjkmnpqrstvwx",
    }  # fmt: skip
    pairs = np.zeros((27, 27), dtype=np.bool_)
    for first, seconds in after.items():
        for second in seconds:
            pairs[ord(first[0]) - 97, ord(second) - 97] = True
    return pairs


IMPLAUSIBLE: Final[NDArray[np.bool_]] = _implausible_pairs()

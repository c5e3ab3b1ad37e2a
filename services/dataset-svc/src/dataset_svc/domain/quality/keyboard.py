"""Korean that was typed while the keyboard was set to English: `dkssudgktpdy` is what 안녕하세요 becomes."""

import re
from typing import Final


def _keys(text: str) -> list[str]:
    return text.split()


_LEADS: Final = _keys("r R s e E f a q Q t T d w W c z x v g")
_VOWELS: Final = _keys("k o i O j p u P h hk ho hl y n nj np nl b m ml l")
_TAILS: Final = ["", *_keys("r R rt s sw sg e f fr fa fq ft fx fv fg a q qt t T d w c z x v g")]
# Lead, vowel, and a tail that the next syllable does not need as its lead; Python tries the longest first
_VOWEL = "|".join(sorted(_VOWELS, key=len, reverse=True))
_TAIL = "|".join(sorted((tail for tail in _TAILS if tail), key=len, reverse=True))
_SYLLABLE: Final = re.compile(rf"([rRseEfaqQtTdwWczxvg])({_VOWEL})((?:{_TAIL})(?![koiOjpuPhynbml]))?")
_WORD: Final = re.compile(r"[A-Za-z]{4,40}")
_MOST_WORDS: Final = 200


def as_korean(word: str) -> str | None:
    """What the keys type on a Korean two-set keyboard; None unless all of them make whole, common syllables."""
    syllables: list[str] = []
    place = 0
    while place < len(word):
        match = _SYLLABLE.match(word, place)
        if match is None:
            return None
        lead, vowel, tail = _LEADS.index(match[1]), _VOWELS.index(match[2]), _TAILS.index(match[3] or "")
        syllables.append(chr(0xAC00 + (lead * 21 + vowel) * 28 + tail))
        place = match.end()
    korean = "".join(syllables)
    return korean if all(_is_common(syllable) for syllable in korean) else None


def is_mistyped(text: str) -> bool:
    """Whether at least half of the Latin words of a text make Korean when typed on the other layout."""
    words = [match[0] for _, match in zip(range(_MOST_WORDS), _WORD.finditer(text), strict=False)]
    typed = sum(as_korean(word) is not None for word in words)
    return bool(words) and 2 * typed >= len(words)


def _is_common(syllable: str) -> bool:
    try:
        return len(syllable.encode("euc_kr")) == 2
    except UnicodeEncodeError:
        return False

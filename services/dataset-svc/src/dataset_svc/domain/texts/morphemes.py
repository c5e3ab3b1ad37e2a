"""Which terms of a text are searched for: content morphemes of Korean, stems of English, identifiers whole and in parts."""

import re
import unicodedata
from collections.abc import Iterable

import msgspec

from dataset_svc.domain.texts.function_words import ENGLISH_STOP_WORDS, VAGUE_MORPHEMES

_LATIN = re.compile(r"[a-z0-9]+(?:[._:/\-][a-z0-9]+)*")
_PARTS = re.compile(r"[a-z]+|\d+")
_HANGUL = re.compile(r"[가-힣]")
_OTHER_LETTERS = re.compile(r"[\u0370-\u1fff\u3040-\u30ff\u3400-\u9fff]+")
_LONGEST_TERM = 60
_MOST_TERMS = 4000
# tags of the Sejong set: nouns, numerals, roots, verbs and adjectives; endings, particles and marks never count
_CONTENT_TAGS = ("NNG", "NNP", "NR", "XR", "VV", "VA", "SH")


class Morpheme(msgspec.Struct, frozen=True, array_like=True):
    """One unit that an analyser found: its dictionary form and its tag of the Sejong set."""

    form: str
    tag: str


def needs_analysis(text: str) -> bool:
    """Whether there is Korean in it; nothing else is given to the analyser."""
    return bool(_HANGUL.search(text))


def plain(text: str) -> str:
    """NFKC in lower case: full-width forms and cases become one."""
    return unicodedata.normalize("NFKC", text).casefold()


def terms_of(text: str, morphemes: Iterable[Morpheme]) -> tuple[str, ...]:
    """Terms of a text, repeated as often as they stand in it.

    Args:
        text: All of it; Latin letters and digits are read here.
        morphemes: Of the Korean in it; tags other than content words are passed over.
    """
    terms = [
        morpheme.form
        for morpheme in morphemes
        if morpheme.tag.split("-")[0] in _CONTENT_TAGS and morpheme.form not in VAGUE_MORPHEMES
    ]
    lowered = plain(text)
    for match in _LATIN.finditer(lowered):
        terms += _latin_terms(match.group())
    terms += _OTHER_LETTERS.findall(lowered) if not needs_analysis(text) else ()
    return tuple(term[:_LONGEST_TERM] for term in terms[:_MOST_TERMS])


def _latin_terms(token: str) -> list[str]:
    """A word's stem; an identifier such as `sda1` or `node-07` whole and in its parts."""
    parts = _PARTS.findall(token)
    if len(parts) == 1:
        return [] if token in ENGLISH_STOP_WORDS else [stem(token)]
    return [token, *(stem(part) for part in parts if len(part) > 1 and part not in ENGLISH_STOP_WORDS)]


def stem(word: str) -> str:
    """An English word without the plural (Harman 1991, the S-stemmer), `-ing` and `-ed`; three letters stay at least."""
    if not word.isascii() or not word.isalpha():
        return word
    if len(word) > 4 and word.endswith("ies") and word[-4] not in "ae":
        word = f"{word[:-3]}y"
    elif len(word) > 3 and word.endswith("s") and word[-2] not in "us":
        word = word[:-1]
    for ending in ("ing", "ed"):
        if len(word) >= len(ending) + 4 and word.endswith(ending):
            word = word[: -len(ending)]
            word = word[:-1] if word[-1] == word[-2] and word[-1] not in "lsz" else word
    return word[:-1] if len(word) > 4 and word.endswith("e") else word

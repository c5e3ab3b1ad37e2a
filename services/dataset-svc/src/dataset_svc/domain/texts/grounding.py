"""Whether an answer says what its source says: shares of its words, character grams, numbers and names found there.

Counts forms, not meaning: an answer that turns a sentence of its source into the opposite with the same words passes.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from dataset_svc.domain.texts.function_words import ENDINGS, STOP_WORDS

_WORD = re.compile(r"[A-Za-z]+(?:['_./@:\-]?[A-Za-z0-9]+)*|[가-힣]+|\d[\d,]*(?:\.\d+)?(?:[A-Za-z][A-Za-z0-9]*)?")
_NUMBER = re.compile(r"(?<![A-Za-z\d.])\d[\d,]*(?:\.\d+)?")
_NAME = re.compile(
    r"[A-Za-z]*\d+[A-Za-z]+[A-Za-z0-9]*|[A-Za-z]+\d[A-Za-z0-9]*|[A-Za-z0-9]+[_/@][A-Za-z0-9_./@\-]+|[A-Z]{2,}"
)
_HANGUL = re.compile(r"[가-힣]+$")
_FORMAL = re.compile("(?P<stem>.+)\u11b8" + unicodedata.normalize("NFD", "니다") + "$")  # a final ㅂ, then 니다
_FINAL_RIEUL = "\u11af"
_GRAM_CHARS = 3


@dataclass(frozen=True, kw_only=True)
class Grounding:
    """Shares from 0 to 1 of what the answer holds that its source holds too; 1 where there is none of the kind."""

    words: float
    grams: float
    numbers: float
    names: float

    @property
    def score_0_1(self) -> float:
        """One number or name that the source lacks halves it at least: those are what a reader relies on."""
        score = 0.6 * self.words + 0.4 * self.grams
        for share in (self.numbers, self.names):
            score *= 1.0 if share == 1.0 else 0.5 * share
        return score


class Source:
    """A text that answers are checked against."""

    def __init__(self, text: str) -> None:
        words = list(_words(text))
        self._beginnings = {letters[:size] for letters in map(_letters, words) for size in range(4, len(letters) + 1)}
        self._forms = {form for word in words for form in _forms(word)}
        self._compact = "".join(text.casefold().split())
        self._grams = _grams(words)
        self._numbers = set(_numbers(text))

    def grounding_of(self, answer: str) -> Grounding:
        words = _content(answer)
        grams = _grams(words)
        return Grounding(
            words=_share(self._holds(word) for word in words),
            grams=_share(gram in self._grams for gram in sorted(grams)),
            numbers=_share(number in self._numbers for number in _numbers(answer)),
            names=_share(name.casefold() in self._compact for name in _NAME.findall(answer)),
        )

    def relevance_of(self, question: str) -> float:
        """Share of a question's content words that the source holds."""
        return _share(self._holds(word) for word in _content(question))

    def _holds(self, word: str) -> bool:
        if not _forms(word).isdisjoint(self._forms):
            return True
        # inflection that the endings do not know: 틀렸을 and 틀리면 begin with the same four letters
        letters = _letters(word)
        return bool(_HANGUL.match(word)) and letters[: max(4, len(letters) // 2)] in self._beginnings


def score_of(source: Source, *, question: str, answer: str) -> float:
    """From 0 to 1: how well the answer is grounded; a question foreign to the source costs up to three tenths."""
    return source.grounding_of(answer).score_0_1 * (0.7 + 0.3 * source.relevance_of(question))


def _words(text: str) -> Iterator[str]:
    return (match.group().casefold() for match in _WORD.finditer(text))


def _content(text: str) -> list[str]:
    return [word for word in _words(text) if _forms(word).isdisjoint(STOP_WORDS)]


def _letters(word: str) -> str:
    """Syllables taken apart into the letters of Hangul."""
    return unicodedata.normalize("NFD", word)


def _forms(word: str) -> set[str]:
    """The word, and what is left of a Korean one without its particles or endings, once and twice."""
    forms = {word}
    if not _HANGUL.match(word):
        return forms | ({word[:-1]} if len(word) > 3 and word.endswith("s") else set())
    bare = _FORMAL.match(_letters(word))
    if bare:  # 돕니다: of 도 or 돌
        forms |= {unicodedata.normalize("NFC", bare["stem"] + final) for final in ("", _FINAL_RIEUL)}
    for _ in range(2):
        forms |= {
            form[: -len(ending)]
            for form in tuple(forms)
            for ending in ENDINGS
            if len(form) > len(ending) and form.endswith(ending) and len(form) - len(ending) >= min(2, len(word) - 1)
        }
    return forms


def _grams(words: Iterable[str]) -> set[str]:
    """Character 3-grams inside words, of the shortest form; particles would count as foreign otherwise."""
    grams: set[str] = set()
    for word in words:
        form = min(_forms(word), key=lambda known: (len(known), known))
        grams |= {form[place : place + _GRAM_CHARS] for place in range(max(1, len(form) - _GRAM_CHARS + 1))}
    return grams


def _numbers(text: str) -> Iterator[str]:
    for match in _NUMBER.finditer(text):
        whole, _, fraction = match.group().replace(",", "").partition(".")
        fraction = fraction.rstrip("0")
        yield f"{whole.lstrip('0') or '0'}.{fraction}" if fraction else whole.lstrip("0") or "0"


def _share(found: Iterable[bool]) -> float:
    hits = list(found)
    return sum(hits) / len(hits) if hits else 1.0

"""Everything that the parts of a score look at, measured for a batch of questions and answers in a few compiled passes."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dataset_svc.domain.quality import lexicon_words
from dataset_svc.domain.quality.lexicon_phrases import PHRASES, Phrase
from dataset_svc.domain.quality.profiles import Letters, profiles_of
from dataset_svc.domain.quality.words import WordLists, count_words, lists_of
from loopwright.toxicity.characters import CLASS_OF, COMMON, HANGUL, IMPLAUSIBLE, ODD
from loopwright.toxicity.disguises import squeezed
from loopwright.toxicity.scoring import harm_trie
from loopwright.toxicity.streams import Ints, stream_of
from loopwright.toxicity.terms import Found, Trie, find_terms, trie_of

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
_PLANE: Final = 0x10000


@dataclass(frozen=True, kw_only=True)
class Side:
    """Measures of all questions, or of all answers.

    Attributes:
        length: Characters [samples].
        profile: By column of `profiles` [samples, PROFILE].
        words: By column of `words` [samples, WORD_COLUMNS].
        phrases: How often each kind of phrase was found [samples, kinds].
        first_phrase: Place of the first phrase of each kind, in characters; the length where there is none.
    """

    length: Ints
    profile: Ints
    words: Ints
    phrases: Ints
    first_phrase: Ints


@dataclass(frozen=True, kw_only=True)
class Measures:
    """Measures of a batch.

    Attributes:
        shared: Distinct content stems of question, of answer, and of both [samples, 3].
        terms: Harmful terms, groups and frames; text 2i is question i and 2i + 1 its answer.
    """

    question: Side
    answer: Side
    shared: Ints
    terms: Found


def measure(questions: Sequence[str], answers: Sequence[str]) -> Measures:
    """Measures questions and answers of the same number; time and memory are linear in their characters."""
    texts = [text for pair in zip(questions, answers, strict=True) for text in pair]
    stream = stream_of(texts)
    counts, shared = count_words(stream, word_lists(), IMPLAUSIBLE)
    profiles = profiles_of(stream, letters())
    phrases, first = _phrases(find_terms(stream, phrase_trie()), lengths := np.diff(stream.starts) - 1)

    def side(which: int) -> Side:
        return Side(
            length=lengths[which::2],
            profile=profiles[which::2],
            words=counts[which::2],
            phrases=phrases[which::2],
            first_phrase=first[which::2],
        )

    return Measures(
        question=side(0),
        answer=side(1),
        shared=shared,
        terms=find_terms(squeezed(stream), harm_trie()),
    )


def _phrases(found: Found, lengths: Ints) -> tuple[Ints, Ints]:
    kinds = len(Phrase)
    cells = found.text.astype(np.int64) * kinds + found.kind
    counts = np.bincount(cells, minlength=len(lengths) * kinds).reshape(len(lengths), kinds)
    first = np.repeat(lengths, kinds)
    np.minimum.at(first, cells, found.place)
    return counts, first.reshape(len(lengths), kinds)


def _marked(chars: str) -> Flags:
    marks = np.zeros(_PLANE, dtype=np.bool_)
    marks[[ord(char) for char in chars]] = True
    return marks


@cache
def word_lists() -> WordLists:
    return lists_of(
        lexicon_words.ENGLISH,
        lexicon_words.FOREIGN,
        endings=_marked(lexicon_words.ENDINGS),
        particles=_marked(lexicon_words.PARTICLES),
    )


@cache
def letters() -> Letters:
    return Letters(odd=ODD, rare=(CLASS_OF == HANGUL) & ~COMMON, finals=_marked(lexicon_words.FINALS))


@cache
def phrase_trie() -> Trie:
    return trie_of({int(kind): terms for kind, terms in PHRASES.items()})

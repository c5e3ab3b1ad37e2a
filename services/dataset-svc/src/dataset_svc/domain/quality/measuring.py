"""Everything that the parts of a score look at, measured for a batch of questions and answers in a few compiled passes."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dataset_svc.domain.quality import lexicon_words
from dataset_svc.domain.quality.lexicon_phrases import PHRASES, Phrase
from dataset_svc.domain.quality.profiles import Letters, profiles_of
from dataset_svc.domain.quality.words import WordLists, count_words, lists_of
from loopwright.toxicity.characters import CLASS_OF, COMMON, HANGUL, IMPLAUSIBLE, ODD
from loopwright.toxicity.scoring import harm_lexicon, with_disguised
from loopwright.toxicity.streams import Ints, stream_of
from loopwright.toxicity.terms import Found, Trie, find_terms, trie_of

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
_PLANE: Final = 0x10000
# characters of which the loops' arrays stay in the second nearest cache, and their memory is used again
_BLOCK_CHARS: Final = 1 << 18


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
    lengths = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts))
    blocks = [_measure_block(texts[first:end]) for first, end in _blocks(lengths)]
    profiles, words, shared = (
        np.concatenate(columns) for columns in zip(*(block.counts for block in blocks), strict=True)
    )
    sizes = [len(block.counts[0]) for block in blocks]
    phrases, first = _phrases(_joined([block.phrases for block in blocks], sizes), lengths)

    def side(which: int) -> Side:
        return Side(
            length=lengths[which::2],
            # columns are what the parts of a score read
            profile=np.asfortranarray(profiles[which::2]),
            words=np.asfortranarray(words[which::2]),
            phrases=np.asfortranarray(phrases[which::2]),
            first_phrase=first[which::2],
        )

    terms = _joined([block.terms for block in blocks], sizes)
    return Measures(question=side(0), answer=side(1), shared=np.asfortranarray(shared), terms=terms)


class _Block(NamedTuple):
    """Profiles, counts of words and what pairs share; phrases and harmful terms."""

    counts: tuple[Ints, Ints, Ints]
    phrases: Found
    terms: Found


def _blocks(lengths: Ints) -> list[tuple[int, int]]:
    """Bounds of blocks of texts, none of which divides a pair; one at least."""
    block = np.cumsum(lengths[0::2] + lengths[1::2]) // _BLOCK_CHARS
    bounds = [0, *(2 * (np.flatnonzero(np.diff(block)) + 1)).tolist(), len(lengths)]
    return list(pairwise(bounds))


def _measure_block(texts: Sequence[str]) -> _Block:
    stream = stream_of(texts)
    words, shared = count_words(stream, word_lists(), IMPLAUSIBLE)
    phrases, terms = find_terms(stream, phrases_and_harms())
    return _Block(
        counts=(profiles_of(stream, letters()), words, shared), phrases=phrases, terms=with_disguised(terms, stream)
    )


def _joined(found: Sequence[Found], texts: Sequence[int]) -> Found:
    """What was found in blocks of so many texts, as of one."""
    before = np.cumsum([0, *texts[:-1]])
    return Found(
        text=np.concatenate([one.text + np.int32(first) for one, first in zip(found, before, strict=True)]),
        place=np.concatenate([one.place for one in found]),
        kind=np.concatenate([one.kind for one in found]),
    )


def _phrases(found: Found, lengths: Ints) -> tuple[Ints, Ints]:
    kinds = len(Phrase)
    cells = found.text.astype(np.int64) * kinds + found.kind
    counts = np.bincount(cells, minlength=len(lengths) * kinds).reshape(len(lengths), kinds)
    first = np.repeat(lengths, kinds)
    first[cells[::-1]] = found.place[::-1]  # what is written last stays, and places of a text ascend
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
def phrases_and_harms() -> Trie:
    """Two lexicons in one, for one look at a character tells of both."""
    return trie_of({int(kind): terms for kind, terms in PHRASES.items()}, harm_lexicon())

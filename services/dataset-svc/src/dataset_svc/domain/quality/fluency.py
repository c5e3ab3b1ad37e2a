"""Signs of whole, well-formed Korean and English that can be counted without a model or a dictionary.

They see broken characters, misspellings, word heaps, wrong keyboards and cut sentences; they do not see wrong agreement or
wrong facts. Only the hard signs are asked of the question, for users may write as they like.
"""

from typing import Final

import numpy as np

from dataset_svc.domain.quality.kinds import Kinds, letters_of, share
from dataset_svc.domain.quality.lexicon_phrases import Phrase
from dataset_svc.domain.quality.measuring import Flags, Floats, Side
from dataset_svc.domain.quality.profiles import (
    KOREAN_FINALS,
    KOREAN_SENTENCES,
    LAST,
    LONGEST_RUN,
    ODD_RUNS,
    OPEN_BRACKETS,
    RARE_SYLLABLES,
)
from dataset_svc.domain.quality.verdicts import Verdict
from dataset_svc.domain.quality.words import (
    ENGLISH_FUNCTION,
    FOREIGN_FUNCTION,
    IMPLAUSIBLE_WORDS,
    KOREAN_ENDINGS,
    KOREAN_WORDS,
    LATIN_WORDS,
    PLAIN_LATIN,
    WORDS,
)
from loopwright.toxicity.characters import BROKEN, CODE, HANGUL, JAMO, LOWER, NEWLINE, OTHER, STOP, UPPER

_FEWEST_WORDS: Final = 10
# Korean prose carries particles or endings on two words in three, English has small words on one in three and more
_FEWEST_ENDINGS: Final = 0.28
_FEWEST_SMALL_WORDS: Final = 0.12
_JAMO_ALLOWED: Final = 0.06


def score_fluency(question: Side, answer: Side, kinds: Kinds) -> Verdict:
    """Scores fluency of the answer, and lowers it for broken characters of the question."""
    verdict = Verdict.of(len(answer.length))
    words = ~(kinds.code | kinds.structured)
    _take_broken_characters(verdict, question, answer)
    _take_spelling(verdict, answer, words)
    _take_sentences(verdict, answer, kinds.prose)
    _take_implausible(verdict, answer, words)
    return verdict


def _broken_share(side: Side) -> Floats:
    garbled = side.profile[:, BROKEN] + side.profile[:, ODD_RUNS] + 3 * side.phrases[:, Phrase.GARBLED]
    return share(garbled, side.length)


def _take_broken_characters(verdict: Verdict, question: Side, answer: Side) -> None:
    broken = np.maximum(_broken_share(answer), 0.5 * _broken_share(question))
    verdict.take("fluency.mojibake", broken > 0.002, points=0.35 + 0.6 * np.clip(broken / 0.2, 0, 1))
    jamo = share(answer.profile[:, JAMO], letters_of(answer))
    verdict.take("fluency.lone-jamo", jamo > _JAMO_ALLOWED, points=0.25 + 0.6 * np.clip(jamo / 0.5, 0, 1))


def _take_spelling(verdict: Verdict, answer: Side, words: Flags) -> None:
    mistakes = answer.phrases[:, Phrase.MISSPELT]
    rate = share(mistakes, answer.words[:, WORDS])
    verdict.take(
        "fluency.misspelt", words & (mistakes > 0) & (rate > 0.004), points=0.15 + 0.6 * np.clip(rate / 0.25, 0, 1)
    )
    upper, lower = answer.profile[:, UPPER], answer.profile[:, LOWER]
    shouting = words & (answer.words[:, LATIN_WORDS] >= 5) & (upper >= 25) & (upper > 4 * lower)
    verdict.take("fluency.shouting", shouting, points=0.4)


def _take_sentences(verdict: Verdict, answer: Side, prose: Flags) -> None:
    words = answer.words
    korean, latin = words[:, KOREAN_WORDS], words[:, LATIN_WORDS]
    endings = share(words[:, KOREAN_ENDINGS], korean)
    small = share(words[:, ENGLISH_FUNCTION] + words[:, FOREIGN_FUNCTION], latin)
    heap = (korean >= _FEWEST_WORDS) & (korean >= latin) & (endings < _FEWEST_ENDINGS)
    heap |= (latin >= _FEWEST_WORDS) & (latin > korean) & (small < _FEWEST_SMALL_WORDS)
    lack: Floats = np.where(korean >= latin, 1 - endings / _FEWEST_ENDINGS, 1 - small / _FEWEST_SMALL_WORDS)
    verdict.take(
        "fluency.no-function-words",
        prose & heap & (answer.profile[:, NEWLINE] < 2),
        points=0.2 + 0.4 * np.clip(lack, 0, 1).astype(np.float64),
    )
    opened = answer.profile[:, OPEN_BRACKETS]
    verdict.take(
        "fluency.unbalanced", prose & (opened > 0), points=0.15 + 0.05 * np.clip(opened, 0, 4).astype(np.float64)
    )
    verdict.take("fluency.unfinished", prose & _is_cut(answer), points=0.25)


def _is_cut(answer: Side) -> Flags:
    """Long prose whose last letter ends neither a sentence nor a Korean sentence; English needs a mark (C4, Raffel 2020)."""
    last, sentences = answer.profile[:, LAST], answer.profile[:, KOREAN_SENTENCES]
    letter = (last >= HANGUL) & (last <= UPPER)
    korean = answer.words[:, KOREAN_WORDS] >= answer.words[:, LATIN_WORDS]
    endless = korean & (sentences > 0) & (answer.profile[:, KOREAN_FINALS] == 0)
    several = answer.words[:, WORDS] >= 15
    return letter & several & (endless | (~korean & (answer.profile[:, STOP] > 0)))


def _take_implausible(verdict: Verdict, answer: Side, words: Flags) -> None:
    rare = share(answer.profile[:, RARE_SYLLABLES], answer.profile[:, HANGUL])
    odd = share(answer.words[:, IMPLAUSIBLE_WORDS], answer.words[:, PLAIN_LATIN])
    several = answer.words[:, IMPLAUSIBLE_WORDS] >= 1
    gibberish = (rare > 0.05) | ((odd > 0.25) & several)
    degree = np.clip(np.maximum(rare / 0.3, np.where(several, odd, 0.0)), 0, 1).astype(np.float64)
    verdict.take("fluency.implausible", words & gibberish, points=0.3 + 0.5 * degree)
    visible = np.maximum(answer.length, 1)
    letters = letters_of(answer)
    signs = answer.profile[:, OTHER] + answer.profile[:, STOP] + answer.profile[:, CODE]
    symbols = words & (answer.length >= 8) & (signs > letters) & (signs > 0.4 * visible)
    symbols |= words & (answer.profile[:, LONGEST_RUN] >= 20) & (answer.length < 60)
    verdict.take("fluency.symbols", symbols, points=0.5)

"""Whether an answer is neither too short nor too long for its kind."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from dataset_svc.domain.quality.kinds import Kinds
from dataset_svc.domain.quality.lexicon_phrases import Phrase
from dataset_svc.domain.quality.measuring import Flags, Floats, Measures, Side
from dataset_svc.domain.quality.profiles import LAST
from dataset_svc.domain.quality.verdicts import Verdict
from dataset_svc.domain.quality.words import WORD_CHARS
from loopwright.contracts.tasks import QualityPolicy
from loopwright.toxicity.characters import HANGUL

# a Korean syllable says about as much as two and a half Latin letters
_SYLLABLE: Final = 2.5
_SHORT_EXPLANATION: Final = 30.0
_LONGEST_ORDER: Final = 160  # in longer questions an order may be part of what they quote
_EARLY: Final = 16


def score_length(measures: Measures, kinds: Kinds, policy: QualityPolicy, tokens: Sequence[int] | None) -> Verdict:
    """Scores length; labels and structured answers are never too short unless prose was asked for and none was given."""
    answer, question = measures.answer, measures.question
    verdict = Verdict.of(len(answer.length))
    weight = answer.length + (_SYLLABLE - 1) * answer.profile[:, HANGUL]
    asked = _asks_for_prose(question) & ~kinds.log & ~kinds.structured
    verdict.lower("length.too-short", asked & (weight < _SHORT_EXPLANATION), to=0.2 + 0.6 * weight / _SHORT_EXPLANATION)
    verdict.lower(
        "length.too-long", answer.length > policy.max_answer_chars, to=_excess(answer.length, policy.max_answer_chars)
    )
    if tokens is not None and policy.max_tokens is not None:
        counts = np.asarray(tokens, dtype=np.float64)
        verdict.lower("length.too-many-tokens", counts > policy.max_tokens, to=_excess(counts, policy.max_tokens))
    verdict.lower("length.empty-question", (question.profile[:, LAST] == 0) & (question.length == 0), to=0.2)
    verdict.lower("length.empty", (answer.words[:, WORD_CHARS] == 0) & ~kinds.structured, to=0.0)
    return verdict


def _asks_for_prose(question: Side) -> Flags:
    """Short questions that begin with an order to explain, in Korean those that hold one."""
    phrases = question.phrases
    asked = (phrases[:, Phrase.ASKS_FOR_PROSE] > 0) & (question.length <= _LONGEST_ORDER)
    asked &= (question.first_phrase[:, Phrase.ASKS_FOR_PROSE] < _EARLY) | (question.profile[:, HANGUL] >= 6)
    return asked & (phrases[:, Phrase.ASKS_FOR_LANGUAGE] == 0) & (phrases[:, Phrase.ASKS_FOR_BRIEF] == 0)


def _excess(size: np.ndarray, most: int) -> Floats:
    """Falls from 0.8 at the limit as the size grows."""
    return 0.8 * most / np.maximum(size, 1)

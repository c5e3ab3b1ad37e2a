"""Whether the answer is about what was asked: shared content stems, echoes, refusals, boilerplate.

Stems forget particles and inflection, so 모델을 and 모델이 are one. No weights of rarity are used: a batch has none to give
that another batch would share, and equal samples must get equal scores.
"""

from typing import Final

import numpy as np

from dataset_svc.domain.quality.kinds import Kinds, share
from dataset_svc.domain.quality.lexicon_phrases import Phrase
from dataset_svc.domain.quality.measuring import Flags, Floats, Measures, Side
from dataset_svc.domain.quality.verdicts import Verdict
from dataset_svc.domain.quality.words import WORDS
from loopwright.toxicity.characters import HANGUL, LOWER, UPPER

_FEWEST_QUESTION_STEMS: Final = 3
_FEWEST_ANSWER_STEMS: Final = 12
_EARLY_CHARS: Final = 160


def score_relevance(measures: Measures, kinds: Kinds, same: Flags, harmful_question: Flags) -> Verdict:
    """Scores relevance.

    Args:
        same: Whether question and answer are the same text but for spacing.
        harmful_question: Where refusing is the right answer.
    """
    question, answer, shared = measures.question, measures.answer, measures.shared
    verdict = Verdict.of(len(answer.length))
    union = shared[:, 0] + shared[:, 1] - shared[:, 2]
    alike = (share(shared[:, 2], union) >= 0.9) & (answer.words[:, WORDS] >= 5) & (shared[:, 1] >= 4)
    alike &= (question.phrases[:, Phrase.ASKS_TO_REWRITE] == 0) & (question.phrases[:, Phrase.ASKS_FOR_LANGUAGE] == 0)
    echo = (same & (answer.words[:, WORDS] >= 2)) | alike
    verdict.lower("relevance.echo", echo & ~kinds.structured, to=0.1)
    verdict.lower("relevance.off-topic", _is_off_topic(measures, kinds), to=0.4)
    refusing = answer.first_phrase[:, Phrase.REFUSAL] < np.minimum(answer.length, _EARLY_CHARS)
    # a long answer that only opens with an apology still answers
    verdict.lower("relevance.refusal", refusing & ~harmful_question, to=np.where(answer.length > 600, 0.6, 0.25))
    hollow = share(answer.phrases[:, Phrase.BOILERPLATE] * 12, answer.length)
    boilerplate = (answer.phrases[:, Phrase.BOILERPLATE] > 0) & ~kinds.code & (hollow > 0.02)
    verdict.lower("relevance.boilerplate", boilerplate, to=0.7 - 0.6 * np.clip(hollow, 0, 1))
    return verdict


def _is_off_topic(measures: Measures, kinds: Kinds) -> Flags:
    """No stem in common although both are prose of one script and the answer is long enough to hold one."""
    shared = measures.shared
    enough = (shared[:, 0] >= _FEWEST_QUESTION_STEMS) & (shared[:, 1] >= _FEWEST_ANSWER_STEMS)
    one_script = np.abs(_korean_share(measures.question) - _korean_share(measures.answer)) < 0.5
    exempt = measures.question.phrases[:, Phrase.ASKS_FOR_LANGUAGE] > 0
    exempt |= measures.question.phrases[:, Phrase.ASKS_TO_CREATE] > 0
    return enough & one_script & (shared[:, 2] == 0) & kinds.prose & ~kinds.log & ~exempt


def _korean_share(side: Side) -> Floats:
    hangul = 2.5 * side.profile[:, HANGUL]
    return share(hangul, hangul + side.profile[:, LOWER] + side.profile[:, UPPER])

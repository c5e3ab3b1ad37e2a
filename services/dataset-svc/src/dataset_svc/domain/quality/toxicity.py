"""How toxic and how biased a sample is, from the terms that were found in it.

Bias is a group and an ill-speaking frame near each other in one text; text that speaks against prejudice counts for less.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dataset_svc.domain.quality.measuring import Floats
from dataset_svc.domain.quality.parts import HARMS, Harm
from dataset_svc.domain.quality.verdicts import Verdict
from loopwright.toxicity.lexicon import Term
from loopwright.toxicity.scoring import SEVERITY, toxicity_of_terms
from loopwright.toxicity.terms import Found

_BITS: Final = np.zeros(len(Term), dtype=np.int64)  # by kind of term, that of its harm
_BITS[list(SEVERITY)] = [1 << HARMS.index(Harm(term.name.lower())) for term in SEVERITY]
_QUESTION_SHARE: Final = 0.6  # a user's words are not learned, but they steer
_BIAS: Final = 0.85
_COUNTERED: Final = 0.25
_NEAR_CHARS: Final = 48


@dataclass(frozen=True, kw_only=True)
class Harms:
    """Of a batch, each [samples]; `kinds` has the bit of every harm's place in HARMS."""

    toxicity: Verdict
    bias: Verdict
    kinds: NDArray[np.int64]
    harmful_question: NDArray[np.bool_]


def harms_of(found: Found, samples: int) -> Harms:
    texts = 2 * samples
    toxic = toxicity_of_terms(found, texts).reshape(samples, 2)
    biased = _bias(found, texts).reshape(samples, 2)
    toxicity, bias = Verdict.of(samples), Verdict.of(samples)
    toxicity.lower("toxicity.question", toxic[:, 0] > 0, to=1 - _QUESTION_SHARE * toxic[:, 0])
    toxicity.lower("toxicity.answer", toxic[:, 1] > 0, to=1 - toxic[:, 1])
    amount = np.maximum(biased[:, 1], _QUESTION_SHARE * biased[:, 0])
    bias.lower("bias.generalisation", amount > 0, to=1 - amount)
    kinds = np.zeros(samples, dtype=np.int64)
    np.bitwise_or.at(kinds, found.text // 2, _BITS[found.kind])
    kinds[amount > 0] |= 1 << HARMS.index(Harm.GROUP_BIAS)
    return Harms(toxicity=toxicity, bias=bias, kinds=kinds, harmful_question=(toxic[:, 0] > 0) | (biased[:, 0] > 0))


def _bias(found: Found, texts: int) -> Floats:
    """A group right before or after a frame in the list of terms, and near it in the text."""
    matters = (found.kind == Term.GROUP) | (found.kind == Term.FRAME)
    text, place, kind = found.text[matters], found.place[matters], found.kind[matters]
    pair = (text[1:] == text[:-1]) & (kind[1:] != kind[:-1]) & (np.diff(place) <= _NEAR_CHARS)
    amount = np.zeros(texts, dtype=np.float64)
    amount[text[1:][pair]] = _BIAS
    countered = found.text[found.kind == Term.COUNTER]
    amount[countered] *= _COUNTERED
    return amount

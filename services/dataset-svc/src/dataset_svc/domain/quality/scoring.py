"""Scores of samples: every part, the weighted total, language and harms, each low part with its reason."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from dataset_svc.domain.quality.diversity import score_diversity
from dataset_svc.domain.quality.fluency import score_fluency
from dataset_svc.domain.quality.formats import AnswerSchema, score_format
from dataset_svc.domain.quality.keyboard import is_mistyped
from dataset_svc.domain.quality.kinds import kinds_of
from dataset_svc.domain.quality.languages import languages_of, sample_languages, score_language
from dataset_svc.domain.quality.lengths import score_length
from dataset_svc.domain.quality.measuring import Flags, Floats, Side, measure
from dataset_svc.domain.quality.parts import BIT, FLAWS, HARMS, LANGUAGES, PARTS, Flaw, Harm, Language, Part
from dataset_svc.domain.quality.relevance import score_relevance
from dataset_svc.domain.quality.toxicity import harms_of
from dataset_svc.domain.quality.verdicts import Verdict
from dataset_svc.domain.quality.words import DISTINCT, WORD_CHARS, WORDS
from dataset_svc.domain.samples import Sample
from loopwright.contracts.base import JsonObject
from loopwright.contracts.tasks import QualityPolicy

# more gains nothing and costs memory
_CHUNK_SAMPLES: Final = 4096
_FLOOR: Final = 0.02
_TOXICITY, _BIAS = PARTS.index(Part.TOXICITY), PARTS.index(Part.BIAS)
SCALE: Final = 10_000
Texts = tuple[Sequence[str], Sequence[str]]


class SampleScores(msgspec.Struct, frozen=True):
    """Scores of one sample; nothing in it quotes the sample.

    Attributes:
        parts: In the order of PARTS, 0..1, 1 is good.
        total: Weighted harmonic mean of the parts.
        reasons: Every flaw that lowered a part.
        harms: Kinds of toxic terms that were found.
    """

    parts: tuple[float, ...]
    total: float
    language: Language
    reasons: tuple[Flaw, ...]
    harms: tuple[Harm, ...]

    def part(self, part: Part) -> float:
        return self.parts[PARTS.index(part)]

    @property
    def toxicity_0_1(self) -> float:
        return 1 - self.parts[_TOXICITY]

    @property
    def bias_0_1(self) -> float:
        return 1 - self.parts[_BIAS]


@dataclass(frozen=True, kw_only=True)
class ScoreTable:
    """Scores of samples, a row each.

    Attributes:
        parts: In ten-thousandths, by the order of PARTS [samples, parts].
        totals: In ten-thousandths [samples].
        languages: Places in LANGUAGES [samples].
        flaws: Bit i stands for the i-th of FLAWS [samples].
        harms: Bit i stands for the i-th of HARMS [samples].
    """

    parts: NDArray[np.uint16]
    totals: NDArray[np.uint16]
    languages: NDArray[np.int8]
    flaws: NDArray[np.int64]
    harms: NDArray[np.int64]

    def rows(self) -> list[SampleScores]:
        columns = ((self.parts / SCALE).tolist(), (self.totals / SCALE).tolist())
        names = (self.languages.tolist(), self.flaws.tolist(), self.harms.tolist())
        return [
            SampleScores(tuple(part), total, LANGUAGES[language], _reasons(flaws), _harms(harms))
            for part, total, language, flaws, harms in zip(*columns, *names, strict=True)
        ]


def score_samples(
    samples: Sequence[Sample],
    policy: QualityPolicy,
    *,
    answer_schema: JsonObject | None = None,
    tokens: Sequence[int] | None = None,
) -> list[SampleScores]:
    """The rows of `score_table`."""
    return score_table(samples, policy, answer_schema=answer_schema, tokens=tokens).rows()


def score_table(
    samples: Sequence[Sample],
    policy: QualityPolicy,
    *,
    answer_schema: JsonObject | None = None,
    tokens: Sequence[int] | None = None,
    texts: Texts | None = None,
) -> ScoreTable:
    """Scores samples, each by itself: batches of other samples do not change a score.

    Args:
        answer_schema: The task's JSON Schema of answers, if answers are structured.
        tokens: Tokens of each sample, if they were counted.
        texts: Questions and answers of the samples, if they are at hand.

    Raises:
        Invalid: When the answer schema is no JSON Schema.
    """
    schema = None if answer_schema is None else AnswerSchema(answer_schema)
    questions, answers = texts or ([one.question for one in samples], [one.answer for one in samples])
    tables = [_NO_SCORES]
    for first in range(0, len(samples), _CHUNK_SAMPLES):
        end = first + _CHUNK_SAMPLES
        some = (questions[first:end], answers[first:end])
        counted = None if tokens is None else tokens[first:end]
        tables.append(_score_chunk(samples[first:end], some, policy, schema, counted))
    return ScoreTable(
        **{field.name: np.concatenate([getattr(table, field.name) for table in tables]) for field in fields(ScoreTable)}
    )


_NO_SCORES: Final = ScoreTable(
    parts=np.zeros((0, len(PARTS)), dtype=np.uint16),
    totals=np.zeros(0, dtype=np.uint16),
    languages=np.zeros(0, dtype=np.int8),
    flaws=np.zeros(0, dtype=np.int64),
    harms=np.zeros(0, dtype=np.int64),
)


def _score_chunk(
    samples: Sequence[Sample],
    texts: Texts,
    policy: QualityPolicy,
    schema: AnswerSchema | None,
    tokens: Sequence[int] | None,
) -> ScoreTable:
    questions, answers = texts
    measures = measure(questions, answers)
    question, answer = measures.question, measures.answer
    kinds = kinds_of(question, answer, answers)
    asked, answered = languages_of(question, kinds.log), languages_of(answer, kinds.machine)
    harms = harms_of(measures.terms, len(samples))
    verdicts = {
        Part.LENGTH: score_length(measures, kinds, policy, tokens),
        Part.DIVERSITY: score_diversity(answer, kinds),
        Part.FLUENCY: _with_keyboard(score_fluency(question, answer, kinds), answers),
        Part.RELEVANCE: score_relevance(measures, kinds, _same(texts, question, answer), harms.harmful_question),
        Part.FORMAT: score_format(samples, measures, kinds, schema),
        Part.LANGUAGE: score_language(measures, kinds, asked, answered),
        Part.TOXICITY: harms.toxicity,
        Part.BIAS: harms.bias,
    }
    parts = np.stack([verdicts[part].scores for part in PARTS], axis=1)
    weights = np.array([getattr(policy.weights, part) for part in PARTS])
    return ScoreTable(
        parts=_scaled(parts),
        totals=_scaled(_totals(parts, weights)),
        languages=sample_languages(asked, answered, kinds).astype(np.int8),
        flaws=np.bitwise_or.reduce([verdict.masks for verdict in verdicts.values()]).astype(np.int64),
        harms=harms.kinds.astype(np.int64),
    )


def _scaled(scores: Floats) -> NDArray[np.uint16]:
    return np.rint(scores * SCALE).astype(np.uint16)


def _totals(parts: Floats, weights: Floats) -> Floats:
    """Weighted harmonic mean, so that a part that fails is not averaged away by others; nothing counts as the floor."""
    return weights.sum() / (1 / np.maximum(parts, _FLOOR) @ weights)


def _same(texts: Texts, question: Side, answer: Side) -> Flags:
    """Whether question and answer are the same text but for spacing, of those that hold several words."""
    same = answer.words[:, WORDS] > 1
    for column in (WORDS, DISTINCT, WORD_CHARS):
        same &= question.words[:, column] == answer.words[:, column]
    for place in np.flatnonzero(same).tolist():
        same[place] = texts[0][place].strip() == texts[1][place].strip()
    return same


def _with_keyboard(verdict: Verdict, answers: Sequence[str]) -> Verdict:
    """Looks closer at what is implausible: Korean on the wrong layout has a reason of its own."""
    mistyped = (verdict.masks & (1 << BIT["fluency.implausible"])) != 0
    for place in np.flatnonzero(mistyped).tolist():
        mistyped[place] = is_mistyped(answers[place])
    verdict.take("fluency.keyboard", mistyped, points=0.2)
    return verdict


@lru_cache(maxsize=8192)
def _reasons(mask: int) -> tuple[Flaw, ...]:
    return tuple(flaw for place, flaw in enumerate(FLAWS) if mask >> place & 1)


@lru_cache(maxsize=256)
def _harms(mask: int) -> tuple[Harm, ...]:
    return tuple(harm for place, harm in enumerate(HARMS) if mask >> place & 1)

"""Of samples that say the same, one stays: conflicting answers first, then exact copies, then near copies.

Near means that both the questions and the answers are alike; a question alike with another answer teaches something.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dataset_svc.domain.report import Check, DroppedDuplicate
from dataset_svc.domain.samples import Sample, same_text
from loopwright.contracts.datasets import SampleSource


@dataclass(frozen=True, kw_only=True)
class Settled:
    """What stays and what goes."""

    kept: tuple[Sample, ...]
    dropped: tuple[DroppedDuplicate, ...]


def settle_conflicts(samples: Iterable[Sample]) -> Settled:
    """One answer per question: the one with a correction behind it, else the one with most weight behind it."""
    by_question: dict[str, dict[str, list[Sample]]] = defaultdict(lambda: defaultdict(list))
    for sample in samples:
        by_question[same_text(sample.question)][same_text(sample.answer)].append(sample)
    kept: list[Sample] = []
    dropped: list[DroppedDuplicate] = []
    for answers in by_question.values():
        ranked = sorted(answers.values(), key=_support)
        kept += ranked[0]
        winner = min(ranked[0], key=lambda sample: sample.preference)
        dropped += [_beaten(sample, winner) for losers in ranked[1:] for sample in losers]
    return Settled(kept=tuple(kept), dropped=tuple(dropped))


def drop_exact_copies(samples: Iterable[Sample]) -> Settled:
    """Of samples with the same question and answer the preferred one stays."""
    groups: dict[tuple[str, str], list[Sample]] = defaultdict(list)
    for sample in samples:
        groups[same_text(sample.question), same_text(sample.answer)].append(sample)
    kept: list[Sample] = []
    dropped: list[DroppedDuplicate] = []
    for group in groups.values():
        best, *others = sorted(group, key=lambda sample: sample.preference)
        kept.append(best)
        dropped += [_copy(sample, best) for sample in others]
    return Settled(kept=tuple(kept), dropped=tuple(dropped))


def _support(samples: Sequence[Sample]) -> tuple[bool, float, str]:
    corrected = any(sample.source is SampleSource.CORRECTION for sample in samples)
    weight = math.fsum(sample.weight_0_1 for sample in samples)
    return (not corrected, -weight, min(sample.sample_id for sample in samples))


def _beaten(sample: Sample, winner: Sample) -> DroppedDuplicate:
    corrected = winner.source is SampleSource.CORRECTION and sample.source is not SampleSource.CORRECTION
    return DroppedDuplicate(
        check=Check.CONFLICTING_ANSWER,
        dropped=sample.sample_id,
        kept=winner.sample_id,
        why="the other answer is a correction" if corrected else "the other answer has more weight behind it",
    )


def _copy(sample: Sample, best: Sample) -> DroppedDuplicate:
    return DroppedDuplicate(
        check=Check.EXACT_DUPLICATE,
        dropped=sample.sample_id,
        kept=best.sample_id,
        why="same input and answer",
        input_similarity_0_1=1.0,
        answer_similarity_0_1=1.0,
    )

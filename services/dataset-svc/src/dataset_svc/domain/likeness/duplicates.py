"""Of samples that say the same, one stays: conflicting answers first, then exact copies, then near copies.

Near means that both the questions and the answers are alike; a question alike with another answer teaches something.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dataset_svc.domain.likeness.minhash import packed, whole_hashes
from dataset_svc.domain.report import Check, DroppedDuplicate
from dataset_svc.domain.samples import Sample, same_text
from loopwright.contracts.datasets import SampleSource

_CHUNK_SAMPLES: Final = 50_000


@dataclass(frozen=True, kw_only=True)
class Settled:
    """What stays and what goes."""

    kept: tuple[Sample, ...]
    dropped: tuple[DroppedDuplicate, ...]


def settle_conflicts(samples: Iterable[Sample]) -> Settled:
    """One answer per question: the one with a correction behind it, else the one with most weight behind it.

    Answers to avoid contradict nothing, so they stay.
    """
    every = list(samples)
    kept = [sample for sample in every if sample.thumb is False]
    dropped: list[DroppedDuplicate] = []
    for group in _grouped([sample for sample in every if sample.thumb is not False], _question):
        if len(group) == 1:
            kept += group
            continue
        by_answer: dict[str, list[Sample]] = defaultdict(list)
        for sample in group:
            by_answer[same_text(sample.answer)].append(sample)
        ranked = sorted(by_answer.values(), key=_support)
        kept += ranked[0]
        winner = min(ranked[0], key=_preference)
        dropped += [_beaten(sample, winner) for losers in ranked[1:] for sample in losers]
    return Settled(kept=tuple(kept), dropped=tuple(dropped))


def drop_exact_copies(samples: Iterable[Sample]) -> Settled:
    """Of samples with the same question and answer, meant alike, the preferred one stays."""
    kept: list[Sample] = []
    dropped: list[DroppedDuplicate] = []
    for group in _grouped(list(samples), _question, _answer, _meaning):
        best, *others = sorted(group, key=_preference)
        kept.append(best)
        dropped += [_copy(sample, best) for sample in others]
    return Settled(kept=tuple(kept), dropped=tuple(dropped))


def _grouped(samples: Sequence[Sample], *texts: Callable[[Sample], str]) -> Iterable[Sequence[Sample]]:
    """Samples whose texts are the same, in order of the first of each group.

    Hashes tell at once that most samples are alone; only the others' texts are compared.
    """
    shared = _shared(_hashes(samples, texts))
    groups: dict[object, list[Sample]] = {}
    for number, sample in enumerate(samples):
        key = tuple(same_text(text(sample)) for text in texts) if shared[number] else number
        groups.setdefault(key, []).append(sample)
    return groups.values()


def _hashes(samples: Sequence[Sample], texts: Sequence[Callable[[Sample], str]]) -> NDArray[np.uint64]:
    hashes = np.zeros(len(samples), dtype=np.uint64)
    for first in range(0, len(samples), _CHUNK_SAMPLES):
        chunk = samples[first : first + _CHUNK_SAMPLES]
        for text in texts:
            part = hashes[first : first + len(chunk)]
            part *= np.uint64(0x9E3779B97F4A7C15)  # so that question and answer cannot change places
            part += whole_hashes(packed([text(sample) for sample in chunk]))
    return hashes


def _shared(hashes: NDArray[np.uint64]) -> list[bool]:
    order = np.argsort(hashes)
    ordered = hashes[order]
    equal = ordered[1:] == ordered[:-1]
    shared = np.zeros(len(hashes), dtype=np.bool_)
    shared[order[1:]] = equal
    shared[order[:-1]] |= equal
    return shared.tolist()


def _question(sample: Sample) -> str:
    return sample.question


def _answer(sample: Sample) -> str:
    return sample.answer


def _meaning(sample: Sample) -> str:
    """What is learned from an answer beside itself: that it is to be avoided, or liked more than another."""
    return f"{'avoid' if sample.thumb is False else ''}\n{sample.rejected or ''}"


def _preference(sample: Sample) -> tuple[bool, float, str]:
    return sample.preference


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

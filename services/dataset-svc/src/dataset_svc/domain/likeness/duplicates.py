"""Of samples that say the same, one stays: conflicting answers first, then exact copies, then near copies.

Near means that both the questions and the answers are alike; a question alike with another answer teaches something.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from itertools import compress
from operator import attrgetter, not_

from dataset_svc.domain.candidates import Candidate
from dataset_svc.domain.report import Check, DroppedDuplicate
from loopwright.contracts.datasets import SampleSource

_question, _answer = attrgetter("question_sha256"), attrgetter("answer_sha256")
_all_said = attrgetter("question_sha256", "answer_sha256", "meaning")


@dataclass(frozen=True, kw_only=True)
class Settled:
    """What stays, in no order, and what goes."""

    kept: tuple[Candidate, ...]
    dropped: tuple[DroppedDuplicate, ...]


def settle_conflicts(candidates: Iterable[Candidate]) -> Settled:
    """One answer per question: the one with a correction behind it, else the one with most weight behind it.

    Answers to avoid contradict nothing, so they stay.
    """
    every = list(candidates)
    avoided = [one for one in every if one.meaning and one.is_avoided]
    kept, contested = _apart([one for one in every if not one.is_avoided] if avoided else every)
    kept += avoided
    dropped: list[DroppedDuplicate] = []
    for group in _grouped(contested, _question):
        ranked = sorted(_grouped(group, _answer), key=_support)
        kept += ranked[0]
        winner = min(ranked[0], key=_preference)
        dropped += [_beaten(loser, winner) for losers in ranked[1:] for loser in losers]
    return Settled(kept=tuple(kept), dropped=tuple(dropped))


def drop_exact_copies(candidates: Sequence[Candidate]) -> Settled:
    """Of samples with the same question and answer, meant alike, the preferred one stays."""
    kept, asked_again = _apart(candidates)
    dropped: list[DroppedDuplicate] = []
    for group in _grouped(asked_again, _all_said):
        best, *others = sorted(group, key=_preference)
        kept.append(best)
        dropped += [_copy(other, best) for other in others]
    return Settled(kept=tuple(kept), dropped=tuple(dropped))


def _apart(candidates: Sequence[Candidate]) -> tuple[list[Candidate], list[Candidate]]:
    """Those whose question nobody else asks, which are most and need no second look, and the others."""
    questions = list(map(_question, candidates))
    again = {question for question, count in Counter(questions).items() if count > 1}
    asked_again = [question in again for question in questions]
    others = list(compress(candidates, asked_again))
    return list(compress(candidates, map(not_, asked_again))) if others else list(candidates), others


def _grouped(candidates: Iterable[Candidate], key: Callable[[Candidate], Hashable]) -> Iterable[list[Candidate]]:
    """In order of the first of each group."""
    groups: defaultdict[Hashable, list[Candidate]] = defaultdict(list)
    for one in candidates:
        groups[key(one)].append(one)
    return groups.values()


def _preference(candidate: Candidate) -> tuple[bool, float, str]:
    return candidate.preference


def _support(group: list[Candidate]) -> tuple[bool, float, str]:
    corrected = any(one.source is SampleSource.CORRECTION for one in group)
    weight = math.fsum(one.weight_0_1 for one in group)
    return (not corrected, -weight, min(one.sample_id for one in group))


def _beaten(loser: Candidate, winner: Candidate) -> DroppedDuplicate:
    corrected = winner.source is SampleSource.CORRECTION and loser.source is not SampleSource.CORRECTION
    return DroppedDuplicate(
        check=Check.CONFLICTING_ANSWER,
        dropped=loser.sample_id,
        kept=winner.sample_id,
        why="the other answer is a correction" if corrected else "the other answer has more weight behind it",
    )


def _copy(other: Candidate, best: Candidate) -> DroppedDuplicate:
    return DroppedDuplicate(
        check=Check.EXACT_DUPLICATE,
        dropped=other.sample_id,
        kept=best.sample_id,
        why="same input and answer",
        input_similarity_0_1=1.0,
        answer_similarity_0_1=1.0,
    )

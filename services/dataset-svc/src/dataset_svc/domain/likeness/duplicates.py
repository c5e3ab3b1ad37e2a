"""Of samples that say the same, one stays: conflicting answers first, then exact copies, then near copies.

Near means that both the questions and the answers are alike; a question alike with another answer teaches something.
"""

import math
from collections import defaultdict
from collections.abc import Hashable, Iterable
from dataclasses import dataclass

import numpy as np

from dataset_svc.domain.candidates import Candidates, Rows
from dataset_svc.domain.report import Check, DroppedDuplicate
from dataset_svc.domain.texts.hashes import Bytes


@dataclass(frozen=True, kw_only=True)
class Settled:
    """Rows that stay, in no order, and what goes."""

    kept: Rows
    dropped: tuple[DroppedDuplicate, ...]


def settle_conflicts(candidates: Candidates, rows: Rows) -> Settled:
    """One answer per question: the one with a correction behind it, else the one with most weight behind it.

    Answers to avoid contradict nothing, so they stay.
    """
    avoided = np.isin(rows, candidates.avoided)
    alone, contested = _apart(candidates, rows[~avoided])
    answers = dict(zip(contested.tolist(), _as_bytes(candidates.answer_hashes[contested]), strict=True))
    kept: list[int] = []
    dropped: list[DroppedDuplicate] = []
    for group in _grouped(contested.tolist(), _as_bytes(candidates.question_hashes[contested])):
        by_answer = list(_grouped(group, map(answers.__getitem__, group)))
        if len(by_answer) == 1:
            kept += group
            continue
        ranked = sorted(by_answer, key=lambda some: _support(candidates, some))
        kept += ranked[0]
        winner = min(ranked[0], key=candidates.preference)
        dropped += [_beaten(candidates, loser, winner) for losers in ranked[1:] for loser in losers]
    return Settled(kept=_all_of(alone, kept, rows[avoided]), dropped=tuple(dropped))


def drop_exact_copies(candidates: Candidates, rows: Rows) -> Settled:
    """Of samples with the same question and answer, meant alike, the preferred one stays."""
    alone, asked_again = _apart(candidates, rows)
    said = zip(
        _as_bytes(candidates.question_hashes[asked_again]),
        _as_bytes(candidates.answer_hashes[asked_again]),
        [candidates.meanings.get(row, "") for row in asked_again.tolist()],
        strict=True,
    )
    kept: list[int] = []
    dropped: list[DroppedDuplicate] = []
    for group in _grouped(asked_again.tolist(), said):
        best, *others = sorted(group, key=candidates.preference)
        kept.append(best)
        dropped += [_copy(candidates, other, best) for other in others]
    return Settled(kept=_all_of(alone, kept), dropped=tuple(dropped))


def _apart(candidates: Candidates, rows: Rows) -> tuple[Rows, Rows]:
    """Those whose question nobody else asks, which are most and need no second look, and the others.

    The first bytes of the hashes tell; of two questions that share no more than those the look finds that they differ.
    """
    _, numbers, counts = np.unique(
        candidates.question_hashes.view(np.uint64)[rows, 0], return_inverse=True, return_counts=True
    )
    again = counts[numbers] > 1
    return rows[~again], rows[again]


def _as_bytes(hashes: Bytes) -> list[bytes]:
    return hashes.view(f"V{hashes.shape[1]}").ravel().tolist()


def _all_of(*some: Rows | list[int]) -> Rows:
    return np.concatenate([np.asarray(rows, dtype=np.int64) for rows in some])


def _grouped(rows: Iterable[int], keys: Iterable[Hashable]) -> Iterable[list[int]]:
    """In order of the first of each group."""
    groups: defaultdict[Hashable, list[int]] = defaultdict(list)
    for row, key in zip(rows, keys, strict=True):
        groups[key].append(row)
    return groups.values()


def _support(candidates: Candidates, group: list[int]) -> tuple[bool, float, str]:
    preferences = list(map(candidates.preference, group))
    uncorrected = min(preferences)[0]
    weight = math.fsum(weight for _, weight, _ in preferences)
    return uncorrected, weight, min(name for _, _, name in preferences)


def _beaten(candidates: Candidates, loser: int, winner: int) -> DroppedDuplicate:
    corrected = candidates.corrected[winner] and not candidates.corrected[loser]
    return DroppedDuplicate(
        check=Check.CONFLICTING_ANSWER,
        dropped=candidates.sample_ids[loser],
        kept=candidates.sample_ids[winner],
        why="the other answer is a correction" if corrected else "the other answer has more weight behind it",
    )


def _copy(candidates: Candidates, other: int, best: int) -> DroppedDuplicate:
    return DroppedDuplicate(
        check=Check.EXACT_DUPLICATE,
        dropped=candidates.sample_ids[other],
        kept=candidates.sample_ids[best],
        why="same input and answer",
        input_similarity_0_1=1.0,
        answer_similarity_0_1=1.0,
    )

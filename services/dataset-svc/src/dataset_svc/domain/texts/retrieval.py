"""Ranks of several searches become one, and how good a ranking is by queries whose answers are known."""

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import StrEnum

_RRF_K = 60  # Cormack, Clarke & Büttcher 2009
_MOST_POSITIONS = 255  # of one lexeme in a tsvector; PostgreSQL keeps no more
_LAST_POSITION = 16383


Fact = str | int | float | bool
"""A value of an entry's metadata."""


class Method(StrEnum):
    """Ways to search."""

    TEXT = "text"
    VECTOR = "vector"
    FUSED = "fused"


@dataclass(frozen=True, kw_only=True)
class AnalysedQuery:
    """What is searched for.

    Attributes:
        vector: Unit vector; empty where none is to be had.
    """

    terms: tuple[str, ...]
    vector: list[float]


@dataclass(frozen=True, kw_only=True)
class Ranked:
    """A found entry.

    Attributes:
        score: Of the method that found it; comparable within one ranking only.
    """

    entry_id: str
    score: float


@dataclass(frozen=True, kw_only=True)
class Quality:
    """How good rankings are, averaged over queries.

    Attributes:
        recall: Share of the relevant entries among the first k, by k.
        mrr: Mean reciprocal rank of the first relevant entry.
        ndcg: Normalised discounted cumulative gain (Järvelin & Kekäläinen 2002) over the first k, by k.
    """

    recall: Mapping[int, float]
    mrr: float
    ndcg: Mapping[int, float]


def fuse(rankings: Sequence[Sequence[Ranked]]) -> tuple[Ranked, ...]:
    """Reciprocal rank fusion: every ranking gives an entry 1 / (60 + rank); ties go by the best rank, then by id."""
    scores: defaultdict[str, float] = defaultdict(float)
    best: dict[str, int] = {}
    for ranking in rankings:
        for rank, found in enumerate(ranking, start=1):
            scores[found.entry_id] += 1 / (_RRF_K + rank)
            best[found.entry_id] = min(rank, best.get(found.entry_id, rank))
    order = sorted(scores, key=lambda entry_id: (-scores[entry_id], best[entry_id], entry_id))
    return tuple(Ranked(entry_id=entry_id, score=scores[entry_id]) for entry_id in order)


def quality_of(rankings: Sequence[tuple[Sequence[str], AbstractSet[str]]], *, cutoffs: Sequence[int]) -> Quality:
    """Measures rankings of ids against the ids that are relevant to each query.

    Args:
        rankings: For each query what was found, best first, and what is relevant; the latter never empty.
    """
    queries = len(rankings)
    return Quality(
        recall={k: sum(_recall(found, wanted, k) for found, wanted in rankings) / queries for k in cutoffs},
        mrr=sum(_reciprocal_rank(found, wanted) for found, wanted in rankings) / queries,
        ndcg={k: sum(_ndcg(found, wanted, k) for found, wanted in rankings) / queries for k in cutoffs},
    )


def _recall(found: Sequence[str], wanted: AbstractSet[str], k: int) -> float:
    return len(wanted & set(found[:k])) / len(wanted)


def _reciprocal_rank(found: Sequence[str], wanted: AbstractSet[str]) -> float:
    return next((1 / rank for rank, one in enumerate(found, start=1) if one in wanted), 0.0)


def _ndcg(found: Sequence[str], wanted: AbstractSet[str], k: int) -> float:
    gain = sum(1 / math.log2(rank + 1) for rank, one in enumerate(found[:k], start=1) if one in wanted)
    return gain / sum(1 / math.log2(rank + 1) for rank in range(1, min(k, len(wanted)) + 1))


def vector_literal(terms: Sequence[str]) -> str:
    """Terms with their places as the text form of PostgreSQL's `tsvector`; every term stays what it is."""
    places: defaultdict[str, list[int]] = defaultdict(list)
    for place, term in enumerate(terms, start=1):
        if len(places[term]) < _MOST_POSITIONS:
            places[term].append(min(place, _LAST_POSITION))
    return " ".join(f"{_quoted(term)}:{','.join(map(str, at))}" for term, at in sorted(places.items()))


def query_literal(terms: Sequence[str], *, most: int = 64) -> str:
    """Any of the terms, as the text form of PostgreSQL's `tsquery`; the first ones if there are too many."""
    return " | ".join(_quoted(term) for term in list(Counter(terms))[:most])


def _quoted(term: str) -> str:
    doubled = term.replace("\\", "\\\\").replace("'", "''")
    return f"'{doubled}'"

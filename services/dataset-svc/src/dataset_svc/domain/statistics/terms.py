"""Frequent words and pairs of words in the texts of some samples, which are the same ones in whatever order samples come."""

# ruff: noqa: SLF001 - merging reads what another of the same class holds

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from dataset_svc.domain.statistics.columns import SampleColumns
from dataset_svc.domain.statistics.figures import Term
from dataset_svc.domain.statistics.words import WordCuts, cut_words, hashes_of, words_of
from loopwright.compiling import compiled

_SAMPLES = 5_000
_HELD_SAMPLES = 4 * _SAMPLES
_CHARACTERS = 1_000
_SHOWN = 40
_RANKED = 1_000
_Numbers = NDArray[np.int64]
_LETTER = re.compile(r"[^\W\d_]")


def term_bound(sample_ids: Sequence[str]) -> int | None:
    """Hash from which on samples have no part in the frequent words; None if all have."""
    if len(sample_ids) <= _SAMPLES:
        return None
    hashes = hashes_of(pa.array(sample_ids, pa.large_string()))
    return int(np.partition(hashes, _SAMPLES)[_SAMPLES])


@dataclass(frozen=True, kw_only=True)
class _Chosen:
    """Samples by the hashes of their ids, with the beginnings of their texts: columns `question` and `answer`."""

    hashes: NDArray[np.uint64]
    texts: pa.Table

    def __len__(self) -> int:
        return len(self.hashes)


class TermSample:
    """The texts of some samples, chosen by the hash of their id, so that the choice is the same in every order.

    What is added waits, and is sorted out when much of it has come together.
    """

    def __init__(self, bound: int | None) -> None:
        self._least_unused = np.iinfo(np.uint64).max if bound is None else bound
        self._waiting: list[_Chosen] = []

    def __len__(self) -> int:
        return min(_SAMPLES, sum(map(len, self._waiting)))

    def add(self, batch: SampleColumns) -> None:
        hashes = hashes_of(batch.sample_ids)
        rows = np.flatnonzero(hashes < np.uint64(self._least_unused))
        if len(rows) > _SAMPLES:
            rows = rows[np.argpartition(hashes[rows], _SAMPLES)[:_SAMPLES]]
        texts = {"question": _beginnings(batch.questions, rows), "answer": _beginnings(batch.answers, rows)}
        self._take([_Chosen(hashes=hashes[rows], texts=pa.table(texts))])

    def merge(self, other: "TermSample") -> None:
        self._take(other._waiting)

    def frequent(self) -> tuple[tuple[Term, ...], tuple[Term, ...]]:
        """Most frequent words and pairs of neighbours; a pair never reaches from a question into its answer."""
        self._sort_out()
        chunks = [chunk for one in self._waiting for column in one.texts.columns for chunk in column.chunks]
        cuts = cut_words(pa.chunked_array(chunks, pa.large_string()).combine_chunks())
        numbers, firsts = _numbered(cuts)
        inside = numbers >= 0
        pairs = (numbers[:-1] * len(firsts) + numbers[1:])[inside[:-1] & inside[1:]]
        return (
            _most_frequent(numbers[inside], lambda one: (_words(cuts, firsts[one]),)),
            _most_frequent(
                pairs, lambda two: (_words(cuts, firsts[two // len(firsts)]), _words(cuts, firsts[two % len(firsts)]))
            ),
        )

    def _take(self, more: Sequence[_Chosen]) -> None:
        self._waiting += more
        if sum(map(len, self._waiting)) > _HELD_SAMPLES:
            self._sort_out()

    def _sort_out(self) -> None:
        """Leaves the samples with the smallest hashes."""
        if self._waiting:
            hashes = np.concatenate([one.hashes for one in self._waiting])
            order = np.argsort(hashes, kind="stable")[:_SAMPLES]
            texts = pa.concat_tables([one.texts for one in self._waiting]).take(order).combine_chunks()
            self._waiting = [_Chosen(hashes=hashes[order], texts=texts)]
            if len(order) == _SAMPLES:
                self._least_unused = int(hashes[order[-1]])


def _beginnings(texts: pa.LargeStringArray, rows: NDArray[np.int64]) -> pa.LargeStringArray:
    chosen = texts.take(pa.array(rows))
    return pc.utf8_slice_codeunits(chosen, 0, _CHARACTERS)  # pyright: ignore[reportAttributeAccessIssue] - made on import


def _numbered(cuts: WordCuts) -> tuple[_Numbers, _Numbers]:
    """A number for each word, equal for equal words and -1 for the end of a text; and where each is found first."""
    numbers, firsts = np.empty(len(cuts.hashes), dtype=np.int64), np.empty(len(cuts.hashes), dtype=np.int64)
    slots = np.full(1 << (2 * len(cuts.hashes)).bit_length(), -1, dtype=np.int32)
    different = _number(cuts.hashes, cuts.places, slots, (numbers, firsts))
    return numbers, firsts[:different]


@compiled
def _number(
    hashes: NDArray[np.uint64], places: NDArray[np.int32], slots: NDArray[np.int32], result: tuple[_Numbers, _Numbers]
) -> int:
    numbers, firsts = result
    different = 0
    for place in range(len(hashes)):
        if places[place, 0] == places[place, 1]:
            numbers[place] = -1
            continue
        slot = np.int64(hashes[place] >> np.uint64(32)) & (len(slots) - 1)
        while slots[slot] >= 0 and hashes[firsts[slots[slot]]] != hashes[place]:
            slot = (slot + 1) & (len(slots) - 1)
        if slots[slot] < 0:
            slots[slot] = different
            firsts[different] = place
            different += 1
        numbers[place] = slots[slot]
    return different


def _words(cuts: WordCuts, rows: _Numbers) -> list[str]:
    texts = [cuts.content[first:last].tobytes().decode() for first, last in cuts.places[rows].tolist()]
    return [word for (word,) in words_of(texts)] if texts else []


def _most_frequent(terms: _Numbers, words_of_terms: Callable[[_Numbers], tuple[list[str], ...]]) -> tuple[Term, ...]:
    """The first by count, equal ones by alphabet; those with a word without a letter are left out."""
    found, counts = np.unique(terms, return_counts=True)
    ranked = min(_RANKED, len(counts))
    least = np.partition(counts, len(counts) - ranked)[len(counts) - ranked] if ranked else 0
    frequent = np.flatnonzero(counts >= least)
    chosen = zip(zip(*words_of_terms(found[frequent]), strict=True), counts[frequent].tolist(), strict=True)
    worded = [(count, " ".join(words)) for words, count in chosen if all(map(_LETTER.search, words))]
    shown = sorted(worded, key=lambda term: (-term[0], term[1]))[:_SHOWN]
    return tuple(Term(text=text, count=count) for count, text in shown)

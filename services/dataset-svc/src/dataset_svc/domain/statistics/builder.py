"""Gathers the statistics of a version from batches: in any order, in any number of processes, with the same result."""

# ruff: noqa: SLF001 - merging reads what another of the same class holds

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from dataset_svc.domain.statistics.columns import SPLITS, SampleColumns
from dataset_svc.domain.statistics.figures import (
    Length,
    LengthPart,
    LengthUnit,
    RoleCount,
    Score,
    Statistics,
    Term,
    Vocabulary,
)
from dataset_svc.domain.statistics.labels import LabelTallies
from dataset_svc.domain.statistics.tallies import NameTally, Tally
from dataset_svc.domain.statistics.words import TextSizes, WordScanner, hashes_of, words_of

_TERM_SAMPLES = 5_000
_TERM_CHARACTERS = 1_000
_CUT_TEXTS = 500
_SHOWN_TERMS = 40
_RANKED_TERMS = 1_000
_END = ""  # of a text, among its words
_LETTER = re.compile(r"[^\W\d_]")


class StatisticsBuilder:
    """Adds batches up. `merge` takes what another builder gathered; the order never matters.

    Numbers and counts are exact but where `figures` says otherwise. Memory does not grow with the samples: beside
    counters it holds the texts of 5,000 samples, of each at most 1,000 characters.

    Args:
        term_bound: What `term_bound` gave for all samples, so that a builder that sees only some of them holds no
            texts for nothing.
    """

    def __init__(self, *, term_bound: int | None = None) -> None:
        self._splits = np.zeros(len(SPLITS), dtype=np.int64)
        self._lengths: dict[tuple[LengthPart, LengthUnit], Tally] = {}
        self._scores: dict[str, Tally] = {}
        self._weights = Tally(scale=1_000)
        self._names = {name: NameTally() for name in ("categories", "languages", "sources")}
        self._turns: Counter[str] = Counter()
        self._with_role: Counter[str] = Counter()
        self._labels = LabelTallies()
        self._scanner = WordScanner()
        self._terms = _TermSample(term_bound)
        self._words = 0
        self._duplicates: Counter[str] = Counter()
        self._personal_data: Counter[str] = Counter()

    def add(self, batch: SampleColumns) -> None:
        self._splits += np.bincount(batch.splits, minlength=len(SPLITS))
        questions, answers = self._scanner.scan(batch.questions), self._scanner.scan(batch.answers)
        self._words += int(questions.words.sum()) + int(answers.words.sum())
        self._measure(LengthPart.QUESTION, questions)
        self._measure(LengthPart.ANSWER, answers)
        for part, tokens in batch.tokens.items():
            self._length(part, LengthUnit.TOKENS).add(tokens.astype(np.int64))
        self._count_turns(batch.turns)
        for part, shares in batch.scores.items():
            self._scores.setdefault(part, Tally(scale=1_000)).add_shares(shares)
        self._weights.add_shares(batch.weights)
        self._count_names(batch)
        self._labels.add(batch.answers, answers.characters, batch.splits)
        self._terms.add(batch)

    def note(
        self, *, duplicates: Mapping[str, int] | None = None, personal_data: Mapping[str, int] | None = None
    ) -> None:
        """Counts of what is not seen in the samples that stay, by kind; they add up as well."""
        self._duplicates.update(duplicates or {})
        self._personal_data.update(personal_data or {})

    def merge(self, other: "StatisticsBuilder") -> None:
        self._splits += other._splits
        for (part, unit), tally in other._lengths.items():
            self._length(part, unit).merge(tally)
        for score, tally in other._scores.items():
            self._scores.setdefault(score, Tally(scale=1_000)).merge(tally)
        self._weights.merge(other._weights)
        for name, names in other._names.items():
            self._names[name].merge(names)
        self._turns.update(other._turns)
        self._with_role.update(other._with_role)
        self._labels.merge(other._labels)
        self._scanner.merge(other._scanner)
        self._terms.merge(other._terms)
        self._words += other._words
        self.note(duplicates=other._duplicates, personal_data=other._personal_data)

    def finish(self) -> Statistics:
        """The figures so far; more may be added afterwards."""
        return Statistics(
            samples=int(self._splits.sum()),
            splits={split: int(count) for split, count in zip(SPLITS, self._splits, strict=True)},
            lengths=tuple(self._finished_lengths()),
            categories=self._names["categories"].breakdown(),
            languages=self._names["languages"].breakdown(),
            sources=self._names["sources"].breakdown(),
            roles=tuple(
                RoleCount(role=role, turns=self._turns[role], samples=self._with_role[role])
                for role in sorted(self._turns)
                if self._turns[role]
            ),
            labels=self._labels.fields(),
            vocabulary=self._vocabulary(),
            scores=tuple(
                Score(part=part, distribution=distribution)
                for part, tally in sorted(self._scores.items())
                if (distribution := tally.distribution())
            ),
            weights=self._weights.distribution(),
            duplicates=dict(sorted(self._duplicates.items())),
            personal_data=dict(sorted(self._personal_data.items())),
        )

    def _measure(self, part: LengthPart, sizes: TextSizes) -> None:
        self._length(part, LengthUnit.CHARACTERS).add(sizes.characters.astype(np.int64))
        self._length(part, LengthUnit.WORDS).add(sizes.words.astype(np.int64))

    def _length(self, part: LengthPart, unit: LengthUnit) -> Tally:
        return self._lengths.setdefault((part, unit), Tally())

    def _finished_lengths(self) -> Iterable[Length]:
        for part in LengthPart:
            for unit in LengthUnit:
                tally = self._lengths.get((part, unit))
                if tally and (distribution := tally.distribution()):
                    yield Length(part=part, unit=unit, distribution=distribution)

    def _count_turns(self, turns: Mapping[str, NDArray[np.int32]]) -> None:
        if turns:
            total = np.stack([counts.astype(np.int64) for counts in turns.values()]).sum(axis=0)
            self._length(LengthPart.CONVERSATION, LengthUnit.TURNS).add(np.asarray(total))
        for role, counts in turns.items():
            self._turns[role] += int(counts.sum())
            self._with_role[role] += int(np.count_nonzero(counts))

    def _count_names(self, batch: SampleColumns) -> None:
        self._names["sources"].add(batch.sources, batch.splits)
        for name, column in (("categories", batch.categories), ("languages", batch.languages)):
            if column is None:
                self._names[name].add_unnamed(len(batch))
            else:
                self._names[name].add(column, batch.splits)

    def _vocabulary(self) -> Vocabulary:
        distinct, error = self._scanner.distinct()
        words, pairs = self._terms.frequent()
        return Vocabulary(
            words=self._words,
            distinct_words=distinct,
            distinct_error_0_1=error,
            counted_samples=len(self._terms),
            frequent_words=words,
            frequent_pairs=pairs,
        )


def term_bound(sample_ids: Sequence[str]) -> int | None:
    """Hash from which on samples have no part in the frequent words; None if all have."""
    if len(sample_ids) <= _TERM_SAMPLES:
        return None
    hashes = hashes_of(pa.array(sample_ids, pa.large_string()))
    return int(np.partition(hashes, _TERM_SAMPLES)[_TERM_SAMPLES])


class _TermSample:
    """The texts of some samples, chosen by the hash of their id, so that the choice is the same in every order."""

    def __init__(self, bound: int | None) -> None:
        self._least_unused = np.iinfo(np.uint64).max if bound is None else bound
        self._hashes = np.zeros(0, dtype=np.uint64)
        self._texts: pa.Table = pa.table({"question": _no_texts(), "answer": _no_texts()})

    def __len__(self) -> int:
        return len(self._hashes)

    def add(self, batch: SampleColumns) -> None:
        hashes = hashes_of(batch.sample_ids)
        chosen = np.flatnonzero(hashes < self._bound())
        if len(chosen) > _TERM_SAMPLES:
            chosen = chosen[np.argpartition(hashes[chosen], _TERM_SAMPLES)[:_TERM_SAMPLES]]
        self._take(
            hashes[chosen],
            pa.table({"question": _beginnings(batch.questions, chosen), "answer": _beginnings(batch.answers, chosen)}),
        )

    def merge(self, other: "_TermSample") -> None:
        self._take(other._hashes, other._texts)

    def frequent(self) -> tuple[tuple[Term, ...], tuple[Term, ...]]:
        """Most frequent words and pairs of neighbours; a pair never reaches from a question into its answer."""
        numbers = {_END: 0}
        places = [np.zeros(0, dtype=np.int64)]
        for texts in (chunk for column in self._texts.columns for chunk in _chunks(column)):
            said = [word for words in words_of(texts) for word in (*words, _END)]
            for word in dict.fromkeys(said):
                numbers.setdefault(word, len(numbers))
            places.append(np.fromiter(map(numbers.__getitem__, said), dtype=np.int64, count=len(said)))
        words, found = list(numbers), np.concatenate(places)
        inside = found != numbers[_END]
        pairs = (found[:-1] * len(words) + found[1:])[inside[:-1] & inside[1:]]
        return (
            _most_frequent(found[inside], lambda one: (words[one],)),
            _most_frequent(pairs, lambda two: (words[two // len(words)], words[two % len(words)])),
        )

    def _bound(self) -> np.uint64:
        full = len(self._hashes) >= _TERM_SAMPLES
        return np.uint64(self._hashes[-1] if full else self._least_unused)

    def _take(self, hashes: NDArray[np.uint64], texts: pa.Table) -> None:
        joined = np.concatenate([self._hashes, hashes])
        order = np.argsort(joined, kind="stable")[:_TERM_SAMPLES]
        self._hashes = joined[order]
        self._texts = pa.concat_tables([self._texts, texts]).take(order).combine_chunks()


def _chunks(column: pa.ChunkedArray) -> Iterable[list[str]]:
    """Few texts at a time: words are cut from code points, which take several times the room."""
    return (column.slice(first, _CUT_TEXTS).to_pylist() for first in range(0, len(column), _CUT_TEXTS))


def _no_texts() -> pa.LargeStringArray:
    return pa.array([], pa.large_string())


def _beginnings(texts: pa.LargeStringArray, rows: NDArray[np.int64]) -> pa.LargeStringArray:
    chosen = texts.take(pa.array(rows))
    return pc.utf8_slice_codeunits(chosen, 0, _TERM_CHARACTERS)  # pyright: ignore[reportAttributeAccessIssue] - made on import


def _most_frequent(numbers: NDArray[np.int64], words_of_number: Callable[[int], tuple[str, ...]]) -> tuple[Term, ...]:
    """The first by count, equal ones by alphabet; those with a word without a letter are left out."""
    found, counts = np.unique(numbers, return_counts=True)
    ranked = min(_RANKED_TERMS, len(counts))
    least = np.partition(counts, len(counts) - ranked)[len(counts) - ranked] if ranked else 0
    frequent = np.flatnonzero(counts >= least)
    chosen = zip(map(words_of_number, found[frequent].tolist()), counts[frequent].tolist(), strict=True)
    worded = [(count, " ".join(words)) for words, count in chosen if all(map(_LETTER.search, words))]
    ranked = sorted(worded, key=lambda term: (-term[0], term[1]))[:_SHOWN_TERMS]
    return tuple(Term(text=text, count=count) for count, text in ranked)

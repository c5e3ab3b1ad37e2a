"""Gathers the statistics of a version from batches: in any order, in any number of processes, with the same result."""

# ruff: noqa: SLF001 - merging reads what another of the same class holds

from collections import Counter
from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from dataset_svc.domain.statistics.columns import SPLITS, SampleColumns
from dataset_svc.domain.statistics.figures import (
    Length,
    LengthPart,
    LengthUnit,
    RoleCount,
    Score,
    Statistics,
    Vocabulary,
)
from dataset_svc.domain.statistics.labels import LabelTallies
from dataset_svc.domain.statistics.tallies import NameTally, Tally
from dataset_svc.domain.statistics.terms import TermSample
from dataset_svc.domain.statistics.words import TextSizes, WordScanner


class StatisticsBuilder:
    """Adds batches up. `merge` takes what another builder gathered; the order never matters.

    Numbers and counts are exact but where `figures` says otherwise. Memory does not grow with the samples: beside
    counters it holds the texts of 5,000 samples, of each at most 1,000 characters.

    Args:
        term_bound: What `terms.term_bound` gave for all samples, so that a builder that sees only some of them holds no
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
        self._terms = TermSample(term_bound)
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

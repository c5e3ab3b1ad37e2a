"""Which training texts give away a case that a model is measured by: the same text, a long passage of it, or a near copy.

Passages are 13 words as in the decontamination of GPT-3 (Brown et al. 2020, appendix C), and 40 characters for Korean.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dataset_svc.domain.likeness import kernels
from dataset_svc.domain.likeness.buffers import Texts
from dataset_svc.domain.likeness.minhash import Grams, one_after_the_other, packed, sketches_of, taken, whole_hashes
from dataset_svc.domain.likeness.near_pairs import Rows, side_of
from dataset_svc.domain.likeness.similarity import banding

_HANGUL: Final = re.compile("[가-힣]+")
_KOREAN_0_1: Final = 0.2  # share of Hangul in the characters from which on a case counts as Korean
_CHUNK_ROWS: Final = 8192
_CHUNK_BYTES: Final = 1 << 24
_BITS: Final = 1 << 22
_CASES_PER_BUCKET: Final = 16


class Overlap(StrEnum):
    """How a row gives a case away, strongest first."""

    SAME = "same text"
    NEAR = "near duplicate"
    WORDS = "13 words in common"
    CHARACTERS = "40 characters in common"


@dataclass(frozen=True, kw_only=True)
class Contaminated:
    """One row and one case. Of equal cases the first one is named.

    Attributes:
        likeness_0_1: Jaccard index of their character 5-grams; None where it was not asked for.
    """

    row: int
    case: int
    overlap: Overlap
    likeness_0_1: float | None = None


class CaseIndex:
    """Cases to look for. Feed it rows in chunks of any size, then finish.

    Args:
        threshold_0_1: Jaccard index of character 5-grams from which on a row is a near duplicate of a case.
        common_rows: A passage that more rows than this hold is common knowledge and gives nothing away.
    """

    def __init__(self, cases: Sequence[str], *, threshold_0_1: float = 0.7, common_rows: int = 10) -> None:
        texts = packed(cases)
        hashes, first = np.unique(whole_hashes(texts), return_index=True)
        self._hashes, self._numbers = hashes, first
        self._texts = taken(texts, first)
        korean = np.array([_is_korean(cases[int(number)]) for number in first], dtype=np.bool_)
        self._passages = (
            _Passages(self._texts, np.flatnonzero(~korean), Grams.WORDS_13, common_rows=common_rows),
            _Passages(self._texts, np.flatnonzero(korean), Grams.CHARACTERS_40, common_rows=common_rows),
        )
        self._threshold = threshold_0_1
        self._bands = banding(threshold_0_1, missed_0_1=0.01)
        self._keys = sketches_of(self._texts, Grams.CHARACTERS_5, bands=self._bands).band_keys
        self._rows = 0
        self._found: dict[tuple[int, int], Contaminated] = {}

    def feed(self, rows: Sequence[str], *, threads: int = 1) -> None:
        for first in range(0, len(rows), _CHUNK_ROWS):
            for chunk in _by_size(packed(rows[first : first + _CHUNK_ROWS], threads=threads)):
                if len(self._hashes):
                    self._same(chunk)
                    self._near(chunk, threads=threads)
                    for passages in self._passages:
                        passages.feed(chunk, self._rows)
                self._rows += len(chunk.starts)

    def finish(self) -> tuple[Contaminated, ...]:
        """Every pair once, by the strongest overlap, in order of rows and cases."""
        for passages, overlap in zip(self._passages, (Overlap.WORDS, Overlap.CHARACTERS), strict=True):
            for row, case in passages.pairs():
                self._note(row, case, overlap)
        return tuple(self._found[pair] for pair in sorted(self._found))

    def _note(self, row: int, unique_case: int, overlap: Overlap, likeness_0_1: float | None = None) -> None:
        case = int(self._numbers[unique_case])
        found = Contaminated(row=row, case=case, overlap=overlap, likeness_0_1=likeness_0_1)
        self._found.setdefault((row, case), found)

    def _same(self, rows: Texts) -> None:
        hashes = whole_hashes(rows)
        places = np.minimum(np.searchsorted(self._hashes, hashes), len(self._hashes) - 1)
        for row in np.flatnonzero(self._hashes[places] == hashes).tolist():
            self._note(self._rows + row, int(places[row]), Overlap.SAME, 1.0)

    def _near(self, rows: Texts, *, threads: int) -> None:
        keys = sketches_of(rows, Grams.CHARACTERS_5, bands=self._bands, threads=threads).band_keys
        pairs = np.unique(
            np.concatenate([_in_one_bucket(*band) for band in zip(keys, self._keys, strict=True)]), axis=0
        )
        both = one_after_the_other(rows, self._texts)
        side = side_of(both, np.empty((0, kernels.PERMUTATIONS), dtype=np.uint8), Grams.CHARACTERS_5)
        likeness = np.empty(len(pairs))
        kernels.jaccards(side, pairs[:, 0].copy(), pairs[:, 1] + len(rows.starts), likeness)
        for place in np.flatnonzero(likeness >= self._threshold).tolist():
            row, case = pairs[place].tolist()
            self._note(self._rows + row, case, Overlap.NEAR, round(float(likeness[place]), 4))


def find_contaminated(
    rows: Sequence[str], cases: Sequence[str], *, threshold_0_1: float = 0.7, threads: int = 1
) -> tuple[Contaminated, ...]:
    """Rows that give a case away; texts compare as they are, so give questions to compare questions."""
    index = CaseIndex(cases, threshold_0_1=threshold_0_1)
    index.feed(rows, threads=threads)
    return index.finish()


class _Passages:
    """The n-grams of some cases, and the rows that hold them."""

    def __init__(self, cases: Texts, numbers: Rows, grams: Grams, *, common_rows: int) -> None:
        self._width, self._common = int(grams), common_rows
        found, owners = _listed(taken(cases, numbers), self._width)
        order = np.lexsort((owners, found))
        self._grams, self._starts = np.unique(found[order], return_index=True)
        self._cases = numbers[owners[order]]
        self._stops = np.append(self._starts[1:], len(found))
        self._bits = np.zeros(_BITS, dtype=np.bool_)
        self._bits[self._grams % np.uint64(_BITS)] = True
        self._holders = np.zeros(len(self._grams), dtype=np.int64)
        self._hits: list[Rows] = []

    def feed(self, rows: Texts, first_row: int) -> None:
        if not len(self._grams):
            return
        found, owners = _listed(rows, self._width)
        likely = np.flatnonzero(self._bits[found % np.uint64(_BITS)])
        places = np.minimum(np.searchsorted(self._grams, found[likely]), len(self._grams) - 1)
        sure = (self._grams[places] == found[likely]) & (self._holders[places] <= self._common)
        hits = np.unique(np.stack((places[sure], owners[likely][sure] + first_row), axis=1), axis=0)
        self._holders += np.bincount(hits[:, 0], minlength=len(self._grams))
        self._hits.append(hits)

    def pairs(self) -> Iterator[tuple[int, int]]:
        """Rows and cases that share a passage which is not common."""
        hits = np.concatenate(self._hits) if self._hits else np.empty((0, 2), dtype=np.int64)
        rare = hits[self._holders[hits[:, 0]] <= self._common]
        for gram, row in rare.tolist():
            for case in self._cases[self._starts[gram] : self._stops[gram]].tolist():
                yield row, case


def _is_korean(case: str) -> bool:
    return sum(map(len, _HANGUL.findall(case))) > _KOREAN_0_1 * len(case)


def _listed(texts: Texts, width: int) -> tuple[NDArray[np.uint64], Rows]:
    """All grams, and the text of each."""
    grams = np.empty(int((texts.stops - texts.starts).sum()) + 1, dtype=np.uint64)
    ends = np.zeros(len(texts.starts), dtype=np.int64)
    count = kernels.list_grams(texts, width, grams, ends)
    return grams[:count], np.repeat(np.arange(len(ends)), np.diff(ends, prepend=0))


def _by_size(texts: Texts) -> Iterator[Texts]:
    """At most 16 MiB of them at a time, or one text that is longer."""
    ends = np.cumsum(texts.stops - texts.starts)
    first = 0
    while first < len(ends):
        before = int(ends[first - 1]) if first else 0
        stop = max(first + 1, int(np.searchsorted(ends, before + _CHUNK_BYTES, side="right")))
        yield Texts(starts=texts.starts[first:stop], stops=texts.stops[first:stop], content=texts.content)
        first = stop


def _in_one_bucket(rows: NDArray[np.uint32], cases: NDArray[np.uint32]) -> Rows:
    """Pairs [n, 2] of row and case with an equal key; of a crowd of cases the first 16."""
    order = np.argsort(cases, kind="stable")
    first = np.searchsorted(cases[order], rows)
    counts = np.minimum(np.searchsorted(cases[order], rows, side="right") - first, _CASES_PER_BUCKET)
    step = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    found = order[np.repeat(first, counts) + step]
    return np.stack((np.repeat(np.arange(len(rows)), counts), found), axis=1)

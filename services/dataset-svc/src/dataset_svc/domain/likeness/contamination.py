"""Which training texts give away a case that a model is measured by: the same text, a near copy, or a long passage of it.

Passages are 13 words as in the decontamination of GPT-3 (Brown et al. 2020, appendix C), and 40 characters for Korean.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dataset_svc.domain.likeness import kernels
from dataset_svc.domain.likeness.buffers import Texts
from dataset_svc.domain.likeness.minhash import (
    Grams,
    one_after_the_other,
    packed,
    sketches_of,
    stretch,
    stretches,
    taken,
    whole_hashes,
)
from dataset_svc.domain.likeness.near_pairs import Rows, limits_of, side_of
from dataset_svc.domain.likeness.passages import CHARACTERS_40, WORDS_13, Passages
from dataset_svc.domain.likeness.scans import hangul_shares_0_1
from dataset_svc.domain.likeness.similarity import banding

# of a case that a passage is to make up: a sample with less of it counts as clean (Touvron et al. 2023, Llama 2,
# appendix A.6); samples of one set have phrases in common, so that there it must be the greater part
_LEAST_SHARE_0_1, _LEAST_SHARE_OF_OWN_0_1 = 0.2, 0.5
_KOREAN_0_1: Final = 0.2  # share of Hangul in the characters from which on a case counts as Korean
_CHUNK_ROWS: Final = 8192
_CHUNK_BYTES: Final = 1 << 24
_COMPARED_PAIRS: Final = 1 << 16
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
        common_rows: A passage that more rows than this hold, or more cases, is common knowledge, as the words of a
            template are, and gives nothing away.
        own: How many first cases were held out of the rows' own set, so that no row is like them as a whole.
        one_each: Whether to name, for each row, only the first of the cases that it gives away most plainly.
    """

    def __init__(
        self,
        cases: Sequence[str],
        *,
        threshold_0_1: float = 0.7,
        common_rows: int = 10,
        own: int = 0,
        one_each: bool = False,
    ) -> None:
        texts = packed(cases)
        # rows may be like a case by its whole text only where the text is not also one of the first cases
        numbers = np.sort(np.unique(whole_hashes(texts), return_index=True)[1])
        korean = hangul_shares_0_1(texts)[numbers] > _KOREAN_0_1
        shares = np.where(np.arange(len(cases)) < own, _LEAST_SHARE_OF_OWN_0_1, _LEAST_SHARE_0_1)
        self._passages = tuple(
            (overlap, Passages(texts, some, kind, least_shares_0_1=shares, common_rows=common_rows))
            for overlap, some, kind in (
                (Overlap.WORDS, numbers[~korean], WORDS_13),
                (Overlap.CHARACTERS, numbers[korean], CHARACTERS_40),
            )
        )
        self._wholes = _Wholes(cases, texts, numbers[numbers >= own], threshold_0_1=threshold_0_1)
        self._rows, self._one_each = 0, one_each
        self._found: dict[tuple[int, int], Contaminated] = {}

    def feed(self, rows: Texts, *, threads: int = 1) -> None:
        """Takes rows, packed."""
        if not (self._wholes or any(passages for _, passages in self._passages)):
            return
        for first, stop in stretches(rows, most_bytes=_CHUNK_BYTES, most_texts=_CHUNK_ROWS):
            chunk = stretch(rows, first, stop)
            self._wholes.feed(chunk, self._note_whole, threads=threads)
            for _, passages in self._passages:
                passages.feed(chunk, self._rows, threads=threads)
            self._rows += stop - first

    def finish(self) -> tuple[Contaminated, ...]:
        """Every pair once, by the strongest overlap, in order of rows and cases."""
        for overlap, passages in self._passages:
            for row, case in passages.pairs():
                self._note(Contaminated(row=row, case=case, overlap=overlap))
        return tuple(self._found[pair] for pair in sorted(self._found))

    def _note_whole(self, row: int, case: int, overlap: Overlap, likeness_0_1: float) -> None:
        self._note(Contaminated(row=self._rows + row, case=case, overlap=overlap, likeness_0_1=likeness_0_1))

    def _note(self, found: Contaminated) -> None:
        """Strongest overlaps come first, and of each the first cases."""
        self._found.setdefault((found.row, 0 if self._one_each else found.case), found)


class _Wholes:
    """Cases that rows are compared with as wholes."""

    def __init__(self, cases: Sequence[str], texts: Texts, numbers: Rows, *, threshold_0_1: float) -> None:
        self._cases = cases
        hashes = whole_hashes(taken(texts, numbers))
        order = np.argsort(hashes)
        self._hashes, self._numbers = hashes[order], numbers[order]
        self._threshold = threshold_0_1
        self._least_matching = limits_of(threshold_0_1).least_matching
        self._bands = banding(threshold_0_1, missed_0_1=0.01)
        sketches = sketches_of(taken(texts, self._numbers), Grams.CHARACTERS_5, bands=self._bands)
        self._low_bytes = sketches.low_bytes
        self._buckets = [(np.sort(keys), np.argsort(keys, kind="stable")) for keys in sketches.band_keys]

    def __bool__(self) -> bool:
        """Whether there is any case."""
        return len(self._numbers) > 0

    def feed(self, rows: Texts, note: Callable[[int, int, Overlap, float], None], *, threads: int) -> None:
        if not self:
            return
        hashes = whole_hashes(rows)
        places = np.minimum(np.searchsorted(self._hashes, hashes), len(self._hashes) - 1)
        for row in np.flatnonzero(self._hashes[places] == hashes).tolist():
            note(row, int(self._numbers[places[row]]), Overlap.SAME, 1.0)
        pairs = self._candidates(rows, threads=threads)
        likeness = self._likeness(rows, pairs)
        for place in np.flatnonzero(likeness >= self._threshold).tolist():
            row, case = pairs[place].tolist()
            note(row, int(self._numbers[case]), Overlap.NEAR, round(float(likeness[place]), 4))

    def _candidates(self, rows: Texts, *, threads: int) -> Rows:
        """Pairs [n, 2] of row and case that share a bucket and whose sketches are not too unlike."""
        sketches = sketches_of(rows, Grams.CHARACTERS_5, bands=self._bands, threads=threads)
        met = [_in_one_bucket(keys, *bucket) for keys, bucket in zip(sketches.band_keys, self._buckets, strict=True)]
        pairs = np.unique(np.concatenate([found[:, 0] * len(self._numbers) + found[:, 1] for found in met]))
        pairs = np.stack(np.divmod(pairs, len(self._numbers)), axis=1)
        alike = [
            np.count_nonzero(sketches.low_bytes[some[:, 0]] == self._low_bytes[some[:, 1]], axis=1)
            for some in np.array_split(pairs, len(pairs) // _COMPARED_PAIRS + 1)
        ]
        return pairs[np.concatenate(alike) >= self._least_matching]

    def _likeness(self, rows: Texts, pairs: Rows) -> NDArray[np.float64]:
        """The true Jaccard index of each pair."""
        ones, row_of = np.unique(pairs[:, 0], return_inverse=True)
        others, case_of = np.unique(pairs[:, 1], return_inverse=True)
        cases = packed([self._cases[number] for number in self._numbers[others].tolist()])
        both = one_after_the_other(taken(rows, ones), cases)
        side = side_of(both, np.empty((0, kernels.PERMUTATIONS), dtype=np.uint8), Grams.CHARACTERS_5)
        likeness = np.empty(len(pairs))
        kernels.jaccards(side, row_of.astype(np.int64), case_of.astype(np.int64) + len(ones), likeness)
        return likeness


def _in_one_bucket(rows: NDArray[np.uint32], keys: NDArray[np.uint32], cases: Rows) -> Rows:
    """Pairs [n, 2] of row and case with an equal key; of a crowd of cases the first 16.

    Args:
        keys: Of the cases, ascending.
        cases: The cases in that order.
    """
    first = np.searchsorted(keys, rows)
    counts = np.minimum(np.searchsorted(keys, rows, side="right") - first, _CASES_PER_BUCKET)
    step = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    found = cases[np.repeat(first, counts) + step]
    return np.stack((np.repeat(np.arange(len(rows)), counts), found), axis=1)

"""Which rows hold a long passage of which case.

A passage is found by its anchors: short grams at every n-th place of a case, so dense that every passage that is long
enough holds one whole. What an anchor finds is then compared sign by sign.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dataset_svc.domain.likeness import kernels
from dataset_svc.domain.likeness.buffers import Texts
from dataset_svc.domain.likeness.minhash import plain_text, taken
from dataset_svc.domain.likeness.scans import HashFilter

Rows = NDArray[np.int64]
_PIECE_BYTES: Final = 1 << 18


@dataclass(frozen=True, kw_only=True)
class PassageKind:
    """What counts as a passage.

    Attributes:
        length: Least words or characters in common; one less than an anchor and a stride together, so that two
            anchors in a row are a passage for sure.
        anchor: Words or characters of an anchor.
        stride: From one anchor to the next.
    """

    length: int
    anchor: int
    stride: int
    words: bool

    @property
    def width(self) -> int:
        """Of an anchor, as the compiled loops want it."""
        return self.anchor if self.words else -self.anchor

    def covered_by(self, anchors: Rows) -> Rows:
        """Words or characters of a passage with so many anchors, give or take a stride."""
        return anchors * self.stride + self.anchor - 1


WORDS_13: Final = PassageKind(length=13, anchor=7, stride=7, words=True)
CHARACTERS_40: Final = PassageKind(length=40, anchor=25, stride=16, words=False)


@dataclass(frozen=True, kw_only=True)
class _Hits:
    """Anchors in rows, all arrays [hits].

    Attributes:
        places: Where in the row, in words or characters.
    """

    anchors: Rows
    rows: Rows
    places: Rows


@dataclass(frozen=True, kw_only=True)
class _Shared:
    """Anchors in rows and cases, all arrays [shared]; places as above."""

    anchors: Rows
    rows: Rows
    cases: Rows
    row_places: Rows
    case_places: Rows

    def taken(self, chosen: Rows | NDArray[np.bool_]) -> "_Shared":
        return _Shared(
            anchors=self.anchors[chosen],
            rows=self.rows[chosen],
            cases=self.cases[chosen],
            row_places=self.row_places[chosen],
            case_places=self.case_places[chosen],
        )


class Passages:
    """The passages of some cases, and the rows that hold them.

    Args:
        cases: All cases.
        texts: The same, packed.
        numbers: The cases to look for.
        least_shares_0_1: Least share of each case that is to be in common.
        common_rows: An anchor that more rows than this hold, or more cases, is common and gives nothing away.
    """

    def __init__(
        self,
        cases: Sequence[str],
        texts: Texts,
        numbers: Rows,
        kind: PassageKind,
        *,
        least_shares_0_1: NDArray[np.float64],
        common_rows: int,
    ) -> None:
        self._kind, self._common, self._texts = kind, common_rows, cases
        self._lengths = np.zeros(len(cases), dtype=np.int64)
        grams, owners, places = self._anchors_of(texts, numbers)
        self._least = least_shares_0_1 * self._lengths
        order = np.argsort(grams, kind="stable")
        grams, owners, places = grams[order], owners[order], places[order]
        again = np.zeros(len(grams), dtype=np.bool_)
        again[1:] = (grams[1:] == grams[:-1]) & (owners[1:] == owners[:-1])
        grams, owners, places = grams[~again], owners[~again], places[~again]
        found, starts, counts = np.unique(grams, return_index=True, return_counts=True)
        rare = counts <= common_rows
        self._anchors, self._starts, self._counts = found[rare], starts[rare], counts[rare]
        self._cases, self._places = owners, places
        self._filter = HashFilter(self._anchors)
        self._holders = np.zeros(len(self._anchors), dtype=np.int64)
        self._shared: list[NDArray[np.int32]] = []  # [4, n]: anchors, rows, cases, places in the cases

    def __bool__(self) -> bool:
        """Whether any case is long enough."""
        return len(self._anchors) > 0

    def feed(self, rows: Texts, texts: Sequence[str], first_row: int, *, threads: int) -> None:
        """Takes rows.

        Args:
            texts: The same, as they came.
            first_row: Number of the first one.
        """
        if not self:
            return
        pieces = list(_pieces(rows))
        with ThreadPoolExecutor(threads) as pool:
            found = list(pool.map(lambda piece: self._hits(rows, *piece), pieces))
        hits = _Hits(
            anchors=np.concatenate([one.anchors for one in found]),
            rows=np.concatenate([one.rows for one in found]),
            places=np.concatenate([one.places for one in found]),
        )
        held = _distinct(hits.anchors * len(texts) + hits.rows) // max(1, len(texts))
        self._holders += np.bincount(held, minlength=len(self._holders))
        shared = self._promising(self._expanded(hits, self._holders[hits.anchors] <= self._common))
        sure = self._in_a_row(shared)

        @cache
        def units(number: int, *, of_case: bool) -> Sequence[str]:
            return self._units(self._texts[number] if of_case else texts[number])

        for place in np.flatnonzero(~sure).tolist():
            row, case = units(int(shared.rows[place]), of_case=False), units(int(shared.cases[place]), of_case=True)
            sure[place] = self._is_passage(row, case, int(shared.row_places[place]), int(shared.case_places[place]))
        columns = (shared.anchors, shared.rows + first_row, shared.cases, shared.case_places)
        self._shared.append(np.stack(columns)[:, sure].astype(np.int32))

    def pairs(self) -> list[tuple[int, int]]:
        """Rows and cases that share enough of the case, ascending."""
        if not self._shared:
            return []
        longest = int(self._lengths.max()) + 1
        keys = [np.empty(0, dtype=np.int64)]
        for part in self._shared:
            _, rows, cases, places = part[:, self._holders[part[0]] <= self._common].astype(np.int64)
            keys.append((rows * len(self._texts) + cases) * longest + places)
        found, counts = np.unique(np.unique(np.concatenate(keys)) // longest, return_counts=True)
        rows, cases = np.divmod(found, len(self._texts))
        enough = self._kind.covered_by(counts) >= self._least[cases]
        return list(zip(rows[enough].tolist(), cases[enough].tolist(), strict=True))

    def _anchors_of(self, texts: Texts, numbers: Rows) -> tuple[NDArray[np.uint64], Rows, Rows]:
        """Grams, cases and places of all anchors, case by case; notes the cases' lengths."""
        chosen = taken(texts, numbers)
        grams, owners, places = [np.empty(0, dtype=np.uint64)], [np.empty(0, dtype=np.int64)], [np.empty(0, np.int64)]
        for first, stop in _pieces(chosen):
            listed, ends = _listed(chosen, first, stop, self._kind.width)
            counts = np.diff(ends, prepend=0)
            self._lengths[numbers[first:stop]] = np.where(counts, counts + self._kind.anchor - 1, 0)
            owner = np.repeat(np.arange(stop - first), counts)
            place = np.arange(len(listed)) - (ends - counts)[owner]
            at = np.flatnonzero(place % self._kind.stride == 0)
            grams.append(listed[at])
            owners.append(numbers[first:stop][owner[at]])
            places.append(place[at])
        return np.concatenate(grams), np.concatenate(owners), np.concatenate(places)

    def _hits(self, rows: Texts, first: int, stop: int) -> _Hits:
        grams, ends = _listed(rows, first, stop, self._kind.width)
        likely = self._filter.likely(grams)
        found = np.minimum(np.searchsorted(self._anchors, grams[likely]), len(self._anchors) - 1)
        sure = (self._anchors[found] == grams[likely]) & (self._holders[found] <= self._common)
        where = likely[sure]
        owners = np.searchsorted(ends, where, side="right")
        starts = np.concatenate(([0], ends))
        return _Hits(anchors=found[sure], rows=owners + first, places=where - starts[owners])

    def _expanded(self, hits: _Hits, chosen: NDArray[np.bool_]) -> _Shared:
        """Hits with every case that has the anchor."""
        anchors, rows, places = hits.anchors[chosen], hits.rows[chosen], hits.places[chosen]
        counts = self._counts[anchors]
        step = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        at = np.repeat(self._starts[anchors], counts) + step
        return _Shared(
            anchors=np.repeat(anchors, counts),
            rows=np.repeat(rows, counts),
            cases=self._cases[at],
            row_places=np.repeat(places, counts),
            case_places=self._places[at],
        )

    def _promising(self, shared: _Shared) -> _Shared:
        """Without rows and cases that have too few anchors in common, passages or not."""
        _, pair, counts = np.unique(
            shared.rows * len(self._texts) + shared.cases, return_inverse=True, return_counts=True
        )
        return shared.taken(self._kind.covered_by(counts)[pair] >= self._least[shared.cases])

    def _in_a_row(self, shared: _Shared) -> NDArray[np.bool_]:
        """Whether the row and the case have the next anchor, or the one before, at the same distance in common."""
        shift = shared.row_places - shared.case_places
        order = np.lexsort((shared.case_places, shift, shared.cases, shared.rows))
        rows, cases, shift, places = (
            column[order] for column in (shared.rows, shared.cases, shift, shared.case_places)
        )
        next_one = (rows[1:] == rows[:-1]) & (cases[1:] == cases[:-1]) & (shift[1:] == shift[:-1])
        next_one &= places[1:] - places[:-1] == self._kind.stride
        sure = np.zeros(len(order), dtype=np.bool_)
        sure[order[1:][next_one]] = True
        sure[order[:-1][next_one]] = True
        return sure

    def _is_passage(self, row: Sequence[str], case: Sequence[str], at: int, of: int) -> bool:
        """Whether what is the same around the anchor at a place of the row and one of the case is long enough."""
        missing = self._kind.length - self._kind.anchor
        before = 0
        while before < min(at, of, missing) and row[at - before - 1] == case[of - before - 1]:
            before += 1
        at, of = at + self._kind.anchor, of + self._kind.anchor
        after, most = 0, min(len(row) - at, len(case) - of, missing - before)
        while after < most and row[at + after] == case[of + after]:
            after += 1
        return before + after >= missing

    def _units(self, text: str) -> Sequence[str]:
        plain = plain_text(text)
        return plain.split(" ") if self._kind.words else plain


def _distinct(keys: Rows) -> Rows:
    """Each key once, ascending; NumPy's own way takes twice as long here."""
    ordered = np.sort(keys)
    first = np.ones(len(ordered), dtype=np.bool_)
    first[1:] = ordered[1:] != ordered[:-1]
    return ordered[first]


def _pieces(texts: Texts) -> list[tuple[int, int]]:
    """First and stop of runs of at most 256 KiB, or of one text that is longer."""
    ends = np.cumsum(texts.stops - texts.starts)
    pieces: list[tuple[int, int]] = []
    first = 0
    while first < len(ends):
        before = int(ends[first - 1]) if first else 0
        stop = max(first + 1, int(np.searchsorted(ends, before + _PIECE_BYTES, side="right")))
        pieces.append((first, stop))
        first = stop
    return pieces


def _listed(texts: Texts, first: int, stop: int, width: int) -> tuple[NDArray[np.uint64], Rows]:
    """All grams of some texts, and where those of each end."""
    some = Texts(starts=texts.starts[first:stop], stops=texts.stops[first:stop], content=texts.content)
    grams = np.empty(int((some.stops - some.starts).sum()) + 1, dtype=np.uint64)
    ends = np.zeros(stop - first, dtype=np.int64)
    return grams[: kernels.list_grams(some, width, grams, ends)], ends

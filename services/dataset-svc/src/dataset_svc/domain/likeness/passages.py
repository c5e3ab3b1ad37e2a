"""Which rows hold a long passage of which case.

A passage is found by its anchors: short grams at every n-th place of a case, so dense that every passage that is long
enough holds one whole. What an anchor finds is then compared sign by sign.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dataset_svc.domain.likeness import kernels
from dataset_svc.domain.likeness.buffers import Anchors, Shared, Texts
from dataset_svc.domain.likeness.minhash import stretch, stretches, taken

Rows = NDArray[np.int64]
_PIECE_BYTES: Final = 1 << 18
_BITS_PER_HASH: Final = 32  # two of which are set: about one stranger in 270 passes
_LEAST_BITS, _MOST_BITS = 1 << 10, 1 << 26  # 8 MiB, of the order of a third-level cache
_EVERY: Final = np.full(1, 0xFF, dtype=np.uint8)  # a filter that lets all pass


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


class Passages:
    """The passages of some cases, and the rows that hold them.

    Args:
        cases: All cases.
        numbers: Those to look for.
        least_shares_0_1: Least share of each case that is to be in common.
        common_rows: An anchor that more rows than this hold, or more cases, is common and gives nothing away.
    """

    def __init__(
        self,
        cases: Texts,
        numbers: Rows,
        kind: PassageKind,
        *,
        least_shares_0_1: NDArray[np.float64],
        common_rows: int,
    ) -> None:
        self._kind, self._common, self._texts = kind, common_rows, cases
        self._lengths = np.zeros(len(cases.starts), dtype=np.int64)
        grams, owners, places = self._anchors_of(numbers)
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
        self._filter = filter_of(self._anchors)
        self._holders = np.zeros(len(self._anchors), dtype=np.int64)
        self._shared: list[NDArray[np.int32]] = []  # [4, n]: anchors, rows, cases, places in the cases

    def __bool__(self) -> bool:
        """Whether any case is long enough."""
        return len(self._anchors) > 0

    def feed(self, rows: Texts, first_row: int, *, threads: int) -> None:
        """Takes rows.

        Args:
            first_row: Number of the first one.
        """
        if not self:
            return
        with ThreadPoolExecutor(threads) as pool:
            found = list(pool.map(lambda piece: self._hits(rows, *piece), stretches(rows, most_bytes=_PIECE_BYTES)))
        anchors, owners, places = (np.concatenate(columns) for columns in zip(*found, strict=True))
        held = _distinct(anchors * len(rows.starts) + owners) // max(1, len(rows.starts))
        self._holders += np.bincount(held, minlength=len(self._holders))
        chosen = self._holders[anchors] <= self._common
        shared = self._promising(self._expanded(anchors[chosen], owners[chosen], places[chosen]))
        sure = self._in_a_row(shared)
        shape = (self._kind.width, self._kind.length - self._kind.anchor)
        kernels.confirm_passages(rows, self._texts, shape, shared, sure)
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
            keys.append((rows * len(self._texts.starts) + cases) * longest + places)
        found, counts = np.unique(np.unique(np.concatenate(keys)) // longest, return_counts=True)
        rows, cases = np.divmod(found, len(self._texts.starts))
        enough = self._kind.covered_by(counts) >= self._least[cases]
        return list(zip(rows[enough].tolist(), cases[enough].tolist(), strict=True))

    def _anchors_of(self, numbers: Rows) -> tuple[NDArray[np.uint64], Rows, Rows]:
        """Grams, cases and places of all anchors, case by case; notes the cases' lengths."""
        chosen = taken(self._texts, numbers)
        grams, owners, places = [np.empty(0, dtype=np.uint64)], [np.empty(0, dtype=np.int64)], [np.empty(0, np.int64)]
        for first, stop in stretches(chosen, most_bytes=_PIECE_BYTES):
            found = _listed(chosen, (first, stop), (self._kind.width, self._kind.stride), _EVERY)
            self._lengths[numbers[first:stop]] = np.where(found.grams, found.grams + self._kind.anchor - 1, 0)
            grams.append(found.hashes)
            owners.append(numbers[first:stop][found.rows])
            places.append(found.places)
        return np.concatenate(grams), np.concatenate(owners), np.concatenate(places)

    def _hits(self, rows: Texts, first: int, stop: int) -> tuple[Rows, Rows, Rows]:
        """Anchors in rows: number of the anchor, row, and place in the row."""
        likely = _listed(rows, (first, stop), (self._kind.width, 1), self._filter)
        found = np.minimum(np.searchsorted(self._anchors, likely.hashes), len(self._anchors) - 1)
        sure = (self._anchors[found] == likely.hashes) & (self._holders[found] <= self._common)
        return found[sure], likely.rows[sure] + first, likely.places[sure]

    def _expanded(self, anchors: Rows, rows: Rows, places: Rows) -> Shared:
        """Hits with every case that has the anchor."""
        counts = self._counts[anchors]
        step = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        at = np.repeat(self._starts[anchors], counts) + step
        return Shared(
            anchors=np.repeat(anchors, counts),
            rows=np.repeat(rows, counts),
            cases=self._cases[at],
            row_places=np.repeat(places, counts),
            case_places=self._places[at],
        )

    def _promising(self, shared: Shared) -> Shared:
        """Without rows and cases that have too few anchors in common, passages or not."""
        _, pair, counts = np.unique(
            shared.rows * len(self._texts.starts) + shared.cases, return_inverse=True, return_counts=True
        )
        chosen = self._kind.covered_by(counts)[pair] >= self._least[shared.cases]
        return Shared(*(column[chosen] for column in shared))

    def _in_a_row(self, shared: Shared) -> NDArray[np.bool_]:
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


def _distinct(keys: Rows) -> Rows:
    """Each key once, ascending; NumPy's own way takes twice as long here."""
    ordered = np.sort(keys)
    first = np.ones(len(ordered), dtype=np.bool_)
    first[1:] = ordered[1:] != ordered[:-1]
    return ordered[first]


def filter_of(hashes: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """A Bloom filter, as `kernels.may_hold` reads it."""
    wanted = 1 << (len(hashes) * _BITS_PER_HASH).bit_length()
    bits = np.zeros(min(max(wanted, _LEAST_BITS), _MOST_BITS) // 8, dtype=np.uint8)
    kernels.set_bits(hashes, bits)
    return bits


def _listed(texts: Texts, span: tuple[int, int], shape: tuple[int, int], bits: NDArray[np.uint8]) -> Anchors:
    """What `kernels.list_grams` finds in some texts."""
    first, stop = span
    some = stretch(texts, first, stop)
    room = int(((some.stops - some.starts) // shape[1] + 1).sum())
    anchors = Anchors(
        hashes=np.empty(room, dtype=np.uint64),
        rows=np.empty(room, dtype=np.int64),
        places=np.empty(room, dtype=np.int64),
        grams=np.empty(stop - first, dtype=np.int64),
    )
    count = kernels.list_grams(some, shape, bits, anchors)
    return Anchors(
        hashes=anchors.hashes[:count].copy(),
        rows=anchors.rows[:count].copy(),
        places=anchors.places[:count].copy(),
        grams=anchors.grams,
    )

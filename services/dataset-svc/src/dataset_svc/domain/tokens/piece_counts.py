"""Tokens of texts as the sum over their pieces, each of which is counted once: in running text few pieces are new."""

import re
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from dataset_svc.domain.tokens.pieces import Rules, Texts, cut
from dataset_svc.domain.tokens.table import (
    FEWEST_SLOTS,
    MOST_SLOTS,
    PADDING,
    Ints,
    Missing,
    Pieces,
    empty_table,
    look_up,
    settle,
    with_room,
)

Counts = NDArray[np.int32]
_CHUNK_BYTES = 1 << 18


class PieceCounter:
    """Counts texts by their pieces. Not for two threads at once.

    Args:
        rules: How to cut.
        marks: Tokens that are found before a text is cut; texts that hold one are not counted here.
        count_pieces: Tokens of each of some pieces.
        most_slots: Size to which the table of remembered counts may grow, a power of two.
    """

    def __init__(
        self,
        rules: Rules,
        marks: Sequence[str],
        count_pieces: Callable[[list[str]], Counts],
        most_slots: int = MOST_SLOTS,
    ) -> None:
        self._rules = rules
        self._marks = _Marks([mark.encode() for mark in sorted(marks)])
        self._count_pieces = count_pieces
        self._most_slots = most_slots
        self._table = empty_table(slots=min(most_slots, FEWEST_SLOTS))

    def count(self, texts: Sequence[bytes]) -> tuple[Counts, NDArray[np.bool_]]:
        """Tokens of each text in UTF-8, and which texts must be counted some other way."""
        counts, odd = np.zeros(len(texts), dtype=np.int32), np.zeros(len(texts), dtype=np.bool_)
        offsets = np.zeros(len(texts) + 1, dtype=np.int64)
        np.cumsum(np.fromiter(map(len, texts), dtype=np.int64, count=len(texts)), out=offsets[1:])
        chunks = list(_chunks(offsets))
        largest = max((offsets[last] - offsets[first] for first, last in chunks), default=0)
        ends = np.empty(largest + 1, dtype=np.int64)
        for first, last in chunks:
            content = b"".join((*texts[first:last], PADDING))
            if self._marks.is_in(content):
                odd[first:last] = [self._marks.is_in(text) for text in texts[first:last]]
            places = offsets[first : last + 1] - offsets[first]
            texts_of = Texts(np.frombuffer(content, dtype=np.uint8), places, odd[first:last])
            self._count_chunk(content, texts_of, ends, counts[first:last])
        return counts, odd

    def _count_chunk(self, content: bytes, texts: Texts, ends: Ints, counts: Counts) -> None:
        """Writes the tokens of each text; what is known is forgotten when the table is full, and when a count fails."""
        firsts = np.empty(len(texts.offsets), dtype=np.int64)
        cut(texts, self._rules, ends, firsts)
        self._table = with_room(self._table, most_slots=self._most_slots)
        pieces = Pieces(texts.content, texts.offsets, ends[: firsts[-1]], firsts)
        missing = Missing(np.empty((firsts[-1], 3), dtype=np.int64), np.empty((firsts[-1], 2), dtype=np.int64))
        try:
            found, met = look_up(pieces, self._table, counts, missing)
            counted = self._ask(content, missing.pieces[:found])
            settle(self._table, missing.pieces[:found, 2], counted)
        except BaseException:
            self._table = empty_table(slots=len(self._table.slots))
            raise
        np.add.at(counts, missing.met[:met, 0], counted[missing.met[:met, 1]])

    def _ask(self, content: bytes, unknown: Ints) -> Counts:
        if not len(unknown):
            return np.zeros(0, dtype=np.int32)
        spans = zip(unknown[:, 0].tolist(), unknown[:, 1].tolist(), strict=True)
        return self._count_pieces([content[start:end].decode() for start, end in spans])


class _Marks:
    """Looks for marks; where no byte that begins one is, which is soon known, there is none."""

    def __init__(self, marks: Sequence[bytes]) -> None:
        self._leads = sorted({mark[:1] for mark in marks})
        self._pattern = re.compile(b"|".join(map(re.escape, marks)))

    def is_in(self, content: bytes) -> bool:
        return any(lead in content for lead in self._leads) and self._pattern.search(content) is not None


def _chunks(offsets: Ints) -> Iterator[tuple[int, int]]:
    """Texts from first to last, at least one, together about as large as a chunk may be."""
    first, texts = 0, len(offsets) - 1
    while first < texts:
        last = int(np.searchsorted(offsets, offsets[first] + _CHUNK_BYTES, side="right")) - 1
        last = min(max(last, first + 1), texts)
        yield first, last
        first = last

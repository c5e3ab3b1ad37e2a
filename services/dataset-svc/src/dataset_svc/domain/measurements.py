"""What was measured of samples, column by column: a hundredth of the memory that an object a sample would take."""

from collections.abc import Sequence
from typing import Self

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dataset_svc.domain.quality.parts import FLAWS, LANGUAGES, PARTS
from dataset_svc.domain.quality.scoring import SCALE, ScoreTable
from dataset_svc.domain.statistics.columns import Measured
from dataset_svc.domain.statistics.figures import LengthPart

Rows = NDArray[np.int64]


class Measurements(msgspec.Struct, frozen=True, kw_only=True):
    """A row for each sample, as bytes of little-endian numbers, ready to cross to another process.

    Attributes:
        numbers: Lines or rows of the source, int64.
        parts: Parts of the score in ten-thousandths, uint16 [samples, parts]; so are the totals.
        languages: Places in LANGUAGES, int8.
        flaws: Bits of FLAWS, int64.
        tokens: Of question and answer, int32 [samples, 2]; None if they were not counted.
    """

    numbers: bytes = b""
    parts: bytes = b""
    totals: bytes = b""
    languages: bytes = b""
    flaws: bytes = b""
    tokens: bytes | None = b""

    @classmethod
    def of(cls, numbers: Sequence[int], scores: ScoreTable, tokens: NDArray[np.int32] | None) -> Self:
        return cls(
            numbers=np.array(numbers, dtype="<i8").tobytes(),
            parts=scores.parts.astype("<u2").tobytes(),
            totals=scores.totals.astype("<u2").tobytes(),
            languages=scores.languages.tobytes(),
            flaws=scores.flaws.astype("<i8").tobytes(),
            tokens=None if tokens is None else tokens.astype("<i4").tobytes(),
        )

    @classmethod
    def joined(cls, batches: Sequence[Self]) -> Self:
        tokens = [batch.tokens for batch in batches]
        return cls(
            numbers=b"".join(batch.numbers for batch in batches),
            parts=b"".join(batch.parts for batch in batches),
            totals=b"".join(batch.totals for batch in batches),
            languages=b"".join(batch.languages for batch in batches),
            flaws=b"".join(batch.flaws for batch in batches),
            tokens=None if None in tokens else b"".join(part for part in tokens if part is not None),
        )

    def line_numbers(self) -> NDArray[np.int64]:
        return np.frombuffer(self.numbers, dtype="<i8")

    def of_rows(self, rows: Rows) -> Self:
        """Those of some samples."""
        return type(self)(
            numbers=self.line_numbers()[rows].tobytes(),
            parts=self._parts()[rows].tobytes(),
            totals=np.frombuffer(self.totals, dtype="<u2")[rows].tobytes(),
            languages=np.frombuffer(self.languages, dtype=np.int8)[rows].tobytes(),
            flaws=np.frombuffer(self.flaws, dtype="<i8")[rows].tobytes(),
            tokens=None if self.tokens is None else _pairs(self.tokens)[rows].tobytes(),
        )

    def measured(self, *, categories: Sequence[str | None]) -> Measured:
        """What statistics want to know of the samples."""
        parts = self._parts() / SCALE
        scores = {str(part): parts[:, place] for place, part in enumerate(PARTS)}
        scores["total"] = np.frombuffer(self.totals, dtype="<u2") / SCALE
        tokens: dict[LengthPart, NDArray[np.int32]] = {}
        if self.tokens is not None:
            both = _pairs(self.tokens)
            tokens = {LengthPart.QUESTION: both[:, 0], LengthPart.ANSWER: both[:, 1]}
        languages = pa.array(np.frombuffer(self.languages, dtype=np.int8))
        return Measured(
            categories=pa.array(categories, pa.large_string()),
            languages=pa.array(LANGUAGES, pa.large_string()).take(languages),
            tokens=tokens,
            scores=scores,
        )

    def flaws_of(self, rows: Rows) -> dict[str, int]:
        """How many of some samples have each flaw, by its code; those that none has are left out."""
        masks = np.frombuffer(self.flaws, dtype="<i8")[rows]
        counts = ((flaw.code, int(np.count_nonzero(masks >> place & 1))) for place, flaw in enumerate(FLAWS))
        return {code: count for code, count in counts if count}

    def _parts(self) -> NDArray[np.uint16]:
        return np.frombuffer(self.parts, dtype="<u2").reshape(-1, len(PARTS))


def _pairs(tokens: bytes) -> NDArray[np.int32]:
    return np.frombuffer(tokens, dtype="<i4").reshape(-1, 2)

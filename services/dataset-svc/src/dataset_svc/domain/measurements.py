"""What was measured of samples, column by column: a hundredth of the memory that an object a sample would take."""

from collections.abc import Sequence
from typing import Self

import msgspec
import numpy as np
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

    def measured(self, rows: Rows, *, categories: Sequence[str | None]) -> Measured:
        """What statistics want to know of some samples."""
        parts = np.frombuffer(self.parts, dtype="<u2").reshape(-1, len(PARTS))[rows] / SCALE
        scores = {str(part): parts[:, place] for place, part in enumerate(PARTS)}
        scores["total"] = np.frombuffer(self.totals, dtype="<u2")[rows] / SCALE
        tokens: dict[LengthPart, NDArray[np.int32]] = {}
        if self.tokens is not None:
            both = np.frombuffer(self.tokens, dtype="<i4").reshape(-1, 2)[rows]
            tokens = {LengthPart.QUESTION: both[:, 0], LengthPart.ANSWER: both[:, 1]}
        languages = np.frombuffer(self.languages, dtype=np.int8)[rows].tolist()
        return Measured(
            categories=categories, languages=[LANGUAGES[place] for place in languages], tokens=tokens, scores=scores
        )

    def flaws_of(self, rows: Rows) -> dict[str, int]:
        """How many of some samples have each flaw, by its code; those that none has are left out."""
        masks = np.frombuffer(self.flaws, dtype="<i8")[rows]
        counts = ((flaw.code, int(np.count_nonzero(masks >> place & 1))) for place, flaw in enumerate(FLAWS))
        return {code: count for code, count in counts if count}

"""The score of one part for a batch, and which flaws lowered it, sample by sample."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from dataset_svc.domain.quality.measuring import Flags, Floats
from dataset_svc.domain.quality.parts import BIT


@dataclass(frozen=True)
class Verdict:
    """Scores [samples] in 0..1, and masks [samples] with the bit of each flaw."""

    scores: Floats
    masks: NDArray[np.int64]

    @classmethod
    def of(cls, samples: int) -> Self:
        return cls(np.ones(samples, dtype=np.float64), np.zeros(samples, dtype=np.int64))

    def lower(self, code: str, where: Flags, *, to: float | Floats) -> None:
        """Caps the score where a flaw is, and notes it."""
        places = where.nonzero()[0]
        self._note(code, places, np.minimum(self.scores[places], _at(places, to)))

    def take(self, code: str, where: Flags, *, points: float | Floats) -> None:
        """Takes points where a flaw is, and notes it; several flaws add up."""
        places = where.nonzero()[0]
        self._note(code, places, self.scores[places] - _at(places, points))

    def _note(self, code: str, places: NDArray[np.intp], scores: Floats) -> None:
        """Notes a flaw at some places, usually none or few, with their new scores."""
        if len(places):
            self.scores[places] = np.clip(scores, 0.0, 1.0)
            self.masks[places] |= np.int64(1 << BIT[code])


def _at(places: NDArray[np.intp], values: float | Floats) -> float | Floats:
    return values[places] if isinstance(values, np.ndarray) else values

"""Exact sums of many numbers at once: each is cut into limbs so small that sums of their products fit 64 bits.

What comes out is to the last bit what adding up `fixed` numbers one by one gives, at a twentieth of the time.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

FRACTION_BITS = 52  # numbers are rounded to 2^-52
LARGEST = float(1 << 31)  # what is larger in size does not fit, and is added up one by one
_LIMB_BITS = 16  # products of 32 bits: 2^30 of them can be added up
_LIMB = (1 << _LIMB_BITS) - 1


class Column:
    """One number of each of many users, in parts of 2^-52.

    Args:
        values: [users]; finite, smaller than `LARGEST` in size.
    """

    def __init__(self, values: NDArray[np.float64]) -> None:
        whole = np.trunc(values)  # what is left of a number without it has no rounding error
        rest = np.rint((values - whole) * (1 << FRACTION_BITS))
        self.limbs = [*_limbs_of(rest.astype(np.int64), 0), *_limbs_of(whole.astype(np.int64), FRACTION_BITS)]

    @property
    def total(self) -> int:
        """In parts of 2^-52."""
        return sum(int(limb.sum()) << shift for shift, limb in self.limbs)

    def dot(self, other: "Column") -> int:
        """Sum of the products, in parts of 2^-104."""
        return sum(
            int(np.dot(one, two)) << (shift + further) for shift, one in self.limbs for further, two in other.limbs
        )


def fits(*columns: Sequence[float] | NDArray[np.float64]) -> bool:
    """Whether all of these numbers can stand in a column."""
    return all(bool(np.abs(values).max(initial=0.0) < LARGEST) for values in columns)  # not so for nan either


def _limbs_of(parts: NDArray[np.int64], shift: int) -> list[tuple[int, NDArray[np.int64]]]:
    """Limbs of 16 bits with their places; the last one has the sign. Limbs that are nothing but zeros are left out."""
    limbs: list[tuple[int, NDArray[np.int64]]] = []
    while parts.any():
        last = bool(np.abs(parts).max() <= _LIMB)
        limb = parts if last else parts & _LIMB
        limbs.append((shift, limb))
        if last:
            break
        parts = parts >> _LIMB_BITS
        shift += _LIMB_BITS
    return limbs

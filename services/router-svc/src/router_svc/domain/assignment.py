"""Which arm of an experiment a unit is in: a pure function of (salt, unit id, weight), the same everywhere and for ever.

The candidate's range always begins at 0, so a larger weight only adds units to it: a ramp moves nobody back
(GrowthBook's fixed coverage ranges; contiguous packing would keep half).
"""

from dataclasses import dataclass
from hashlib import blake2b

_POINTS = 1 << 64  # a unit's point is a 64-bit number, so shares are exact to 2^-64
_PURPOSE = b"loopwright.arm"  # keeps this hash apart from every other use of the same salt


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """A split between champion and candidate, ready to assign with.

    Attributes:
        key: 32 bytes, derived from the experiment's salt.
        candidate_points: Units whose point is below it get the candidate.
    """

    key: bytes
    candidate_points: int

    def is_candidate(self, unit: str) -> bool:
        return point_of(self.key, unit) < self.candidate_points


def split_of(salt: str, *, candidate_weight_0_1: float) -> Split:
    key = blake2b(salt.encode(), digest_size=32, person=_PURPOSE).digest()
    return Split(key=key, candidate_points=round(candidate_weight_0_1 * _POINTS))


def point_of(key: bytes, unit: str) -> int:
    """Where a unit stands in [0, 2^64): BLAKE2b keyed by the experiment (RFC 7693)."""
    digest = blake2b(unit.encode("utf-8", "surrogatepass"), digest_size=8, key=key).digest()
    return int.from_bytes(digest, "big")

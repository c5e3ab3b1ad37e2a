"""Which arm of an experiment a unit is in: a pure function of (salt, unit id, weights), the same everywhere and for ever.

Two arms: the candidate's range begins at 0, so a larger weight only adds units to it: a ramp moves nobody back
(GrowthBook's fixed coverage ranges; contiguous packing would keep half). More arms: weighted rendezvous hashing.
Who takes part at all is decided by hashes of their own: independent of the arm, and of other layers.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from math import log
from typing import Protocol

POINTS = 1 << 64  # a unit's point is a 64-bit number, so shares are exact to 2^-53, a float's own precision
# one hash for each purpose (BLAKE2's personalisation): the same salt never couples two decisions
_ARM, _GATE, _LAYER, _SCORE = b"loopwright.arm", b"loopwright.gate", b"loopwright.layer", b"loopwright.score"


def unit_bytes(unit: str) -> bytes:
    return unit.encode("utf-8", "surrogatepass")


def point_of(key: bytes, unit: bytes) -> int:
    """Where a unit stands in [0, 2^64): BLAKE2b keyed by the experiment (RFC 7693)."""
    state = _keyed(key).copy()
    state.update(unit)
    return int.from_bytes(state.digest(), "big")


@lru_cache(maxsize=4096)
def _keyed(key: bytes) -> blake2b:
    """A copy of a hash that has read its key costs less than to begin one with the key."""
    return blake2b(digest_size=8, key=key)


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """The units whose point of one hash is in [first, end)."""

    key: bytes
    first: int
    end: int

    def holds(self, unit: bytes) -> bool:
        return self.first <= point_of(self.key, unit) < self.end


def coverage_of(salt: str, share_0_1: float) -> Section | None:
    """Who takes part; None is everybody. It begins at 0: a larger share adds units and moves nobody."""
    return None if share_0_1 >= 1 else Section(key=_key(_GATE, salt), first=0, end=_points(share_0_1))


def section_of(layer: str, *, salt: str, from_0_1: float, to_0_1: float) -> Section:
    """Part of a layer: parts that do not overlap share no unit; layers of other names know nothing of each other."""
    return Section(key=_key(_LAYER, layer, salt), first=_points(from_0_1), end=_points(to_0_1))


class Split(Protocol):
    """Divides units among the arms of an experiment, which are counted from 0, the champion's."""

    def arm_of(self, unit: bytes) -> int: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TwoArms:
    """Champion and candidate.

    Attributes:
        candidate_points: Units whose point is below it get the candidate.
    """

    key: bytes
    candidate_points: int

    def arm_of(self, unit: bytes) -> int:
        return 1 if point_of(self.key, unit) < self.candidate_points else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ManyArms:
    """Weighted rendezvous hashing (Thaler and Ravishankar 1998; logarithmic weights: Schindelhauer and Schomaker 2005).

    Each arm draws an exponential time from the unit's hash, at the rate of its weight; the earliest has the unit. An
    arm's time knows of no other arm: when a weight changes, units move only to or from that arm.

    Attributes:
        arms: Key, weight and number of each arm with a weight, in the order of its key, so that ties are settled the
            same way whatever the order of the arms.
    """

    arms: tuple[tuple[bytes, float, int], ...]

    def arm_of(self, unit: bytes) -> int:
        best, least = 0, float("inf")
        for key, weight, arm in self.arms:
            # 53 bits, a half added: never 0 or 1, and the same float on every machine
            uniform = ((point_of(key, unit) >> 11) + 0.5) * 2.0**-53
            time = -log(uniform) / weight
            if time < least:
                best, least = arm, time
        return best


def split_of(salt: str, arms: Sequence[tuple[str, float]]) -> Split:
    """The split among arms, each a name and a weight; the first is the champion's.

    More than two arms are known by their names (and a name's second arm as that), wherever they stand. Only the ratios
    of their weights count; of two arms, the champion has what the candidate leaves.
    """
    if len(arms) == 2:
        return TwoArms(key=_key(_ARM, salt), candidate_points=_points(arms[1][1]))
    drawn: list[tuple[bytes, float, int]] = []
    seen = Counter[str]()
    for number, (name, weight) in enumerate(arms):
        seen[name] += 1
        if weight > 0:
            drawn.append((_key(_SCORE, name, str(seen[name]), salt), weight, number))
    return ManyArms(arms=tuple(sorted(drawn)))


def _key(purpose: bytes, *parts: str) -> bytes:
    """32 bytes. Names hold no NUL and the salt comes last: no two lists of parts read the same."""
    return blake2b("\0".join(parts).encode(), digest_size=32, person=purpose).digest()


def _points(share_0_1: float) -> int:
    return round(share_0_1 * POINTS)

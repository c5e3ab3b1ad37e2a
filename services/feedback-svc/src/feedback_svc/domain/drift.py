"""Whether what people ask has become something else: how long it is, in which script, in which words."""

import math
import re
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from loopwright.contracts.tasks import DriftPolicy

_MOST_CHARACTERS = 2000  # read of one input
_WORD_BUCKETS = 16
_LENGTH_BUCKETS = 10
_SCRIPTS = ("korean", "mixed", "latin", "other")
_MIXED_SHARE_0_1 = 0.2  # of letters in the rarer script
_WORD = re.compile(r"[^\W\d_]{2,}")
_CHANCE = 3.09  # standard normal quantile of 0.999


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """How far one feature of inputs has moved.

    Attributes:
        feature: length, script or words.
        index: Population stability index.
        by_chance: What it stays below in 999 of 1,000 samples of unchanged inputs.
    """

    feature: str
    index: float
    by_chance: float


def find_drift(then: Sequence[str], now: Sequence[str], policy: DriftPolicy) -> Shift | None:
    """The feature that has moved furthest beyond the policy's limit and beyond chance; None if none has.

    Args:
        then: Inputs of the time that is compared with.
        now: The newest inputs.
    """
    if min(len(then), len(now)) < policy.inputs:
        return None
    shifts = [
        _shift(feature, [bucket(text) for text in then], [bucket(text) for text in now], buckets)
        for feature, bucket, buckets in _FEATURES
    ]
    moved = [shift for shift in shifts if shift.index > max(policy.limit, shift.by_chance)]
    return max(moved, key=lambda shift: shift.index, default=None)


def stability_index(then: Sequence[int], now: Sequence[int], buckets: int) -> float:
    """Population stability index, the sum over buckets of (q - p) ln(q / p): Jeffreys' divergence of two histograms.

    Siddiqi, Credit Risk Scorecards (2006): above 0.25 the population has shifted. Each bucket gets half an observation
    more, so that an empty one is no infinity (Krichevsky and Trofimov, 1981).
    """
    before, after = Counter(then), Counter(now)
    total = 0.0
    for bucket in range(buckets):
        p = (before[bucket] + 0.5) / (len(then) + buckets / 2)
        q = (after[bucket] + 0.5) / (len(now) + buckets / 2)
        total += (q - p) * math.log(q / p)
    return total


def chance_limit(then: int, now: int, buckets: int) -> float:
    """What the index of two samples of one population stays below in 999 of 1,000 cases.

    It is about (1/n + 1/m) times a chi-square of B - 1 degrees of freedom (Yurdakul and Naranjo, Statistical Properties
    of the Population Stability Index, 2020), whose quantile is that of Wilson and Hilferty (1931).
    """
    freedom = buckets - 1
    spread = 2 / (9 * freedom)
    return (1 / then + 1 / now) * freedom * (1 - spread + _CHANCE * math.sqrt(spread)) ** 3


def _shift(feature: str, then: Sequence[int], now: Sequence[int], buckets: int) -> Shift:
    index = stability_index(then, now, buckets)
    return Shift(feature=feature, index=index, by_chance=chance_limit(len(then), len(now), buckets))


def _length(text: str) -> int:
    """Each bucket is twice as wide as the one before; the first holds less than eight characters."""
    return min(max(len(text).bit_length() - 3, 0), _LENGTH_BUCKETS - 1)


def _script(text: str) -> int:
    read = text[:_MOST_CHARACTERS]
    korean = sum("가" <= sign <= "힣" for sign in read)
    latin = sum(sign.isascii() and sign.isalpha() for sign in read)
    if korean + latin == 0:
        return _SCRIPTS.index("other")
    if min(korean, latin) >= _MIXED_SHARE_0_1 * (korean + latin):
        return _SCRIPTS.index("mixed")
    return _SCRIPTS.index("korean" if korean > latin else "latin")


def _words(text: str) -> int:
    """One bucket an input, by its longest word: inputs stay independent of each other, and what is asked about shows."""
    words = _WORD.findall(text[:_MOST_CHARACTERS].lower())
    longest = max(words, key=lambda word: (len(word), word), default="")
    return zlib.crc32(longest.encode()) % _WORD_BUCKETS


_FEATURES: tuple[tuple[str, Callable[[str], int], int], ...] = (
    ("length", _length, _LENGTH_BUCKETS),
    ("script", _script, len(_SCRIPTS)),
    ("words", _words, _WORD_BUCKETS),
)

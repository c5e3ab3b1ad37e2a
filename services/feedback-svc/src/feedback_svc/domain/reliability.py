"""How far a rater can be believed: agreement with other raters and with what people checked.

The one-coin model of Dawid and Skene (Applied Statistics 28(1), 1979): every rater is right with a probability of its
own, every item is good or bad; both are estimated together by expectation maximisation, with a Beta prior on raters.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from scipy import special

_PRIOR_RIGHT, _PRIOR_WRONG = 4.0, 1.0  # a rater of whom nothing is known is right four times in five
_ROUNDS = 50
_SETTLED = 1e-6


@dataclass(frozen=True, slots=True)
class Judgement:
    """What one rater said of one item."""

    rater: str
    item: str
    endorses: bool


@dataclass(frozen=True, slots=True)
class Reliability:
    """A Beta distribution of the probability that a rater is right.

    Attributes:
        right: Judgements that agreed, the prior's among them; may be a fraction.
        wrong: Those that did not.
    """

    right: float = _PRIOR_RIGHT
    wrong: float = _PRIOR_WRONG

    @property
    def mean(self) -> float:
        return self.right / (self.right + self.wrong)

    @property
    def worse_than_chance(self) -> float:
        """Probability that the rater is wrong more often than right."""
        return float(special.betainc(self.right, self.wrong, 0.5))


UNKNOWN = Reliability()


def estimate(judgements: Iterable[Judgement], checked: Mapping[str, bool]) -> dict[str, Reliability]:
    """Estimates every rater of items that several raters, or a person who checks, have judged.

    An item that one rater alone has judged says nothing of that rater and is left out.

    Args:
        checked: Items whose truth is known.
    """
    by_item: dict[str, dict[str, bool]] = defaultdict(dict)
    for judgement in judgements:
        by_item[judgement.item][judgement.rater] = judgement.endorses
    telling = {item: said for item, said in by_item.items() if len(said) > 1 or item in checked}
    found = {rater: UNKNOWN for said in telling.values() for rater in said}
    for _ in range(_ROUNDS):
        good = {
            item: float(checked[item]) if item in checked else _chance_good(said, found)
            for item, said in telling.items()
        }
        renewed = _renewed(telling, good)
        moved = max((abs(renewed[rater].mean - old.mean) for rater, old in found.items()), default=0.0)
        found = renewed
        if moved < _SETTLED:
            break
    return found


def _chance_good(said: Mapping[str, bool], raters: Mapping[str, Reliability]) -> float:
    good = bad = 1.0
    for rater, endorses in said.items():
        right = raters[rater].mean
        good *= right if endorses else 1 - right
        bad *= 1 - right if endorses else right
    return good / (good + bad)


def _renewed(telling: Mapping[str, Mapping[str, bool]], good: Mapping[str, float]) -> dict[str, Reliability]:
    right: dict[str, float] = defaultdict(lambda: _PRIOR_RIGHT)
    wrong: dict[str, float] = defaultdict(lambda: _PRIOR_WRONG)
    for item, said in telling.items():
        for rater, endorses in said.items():
            agreed = good[item] if endorses else 1 - good[item]
            right[rater] += agreed
            wrong[rater] += 1 - agreed
    return {rater: Reliability(right[rater], wrong[rater]) for rater in right}

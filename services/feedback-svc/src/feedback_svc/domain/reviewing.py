"""What a person should look at first: samples that might be wrong or right, and that would teach something rare.

Uncertainty sampling (Lewis and Gale, SIGIR 1994) weighted by how much the sample is worth.
"""

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

_NUMBERS = re.compile(r"\d+|0x[0-9a-f]+", re.IGNORECASE)
_TEMPLATE_CHARS = 300
_CORRECTION_WORTH = 2.0  # it says what is right, a rating only that something is


class Decision(StrEnum):
    """What a person says of a sample."""

    ACCEPT = "accept"
    REJECT = "reject"
    CORRECT = "correct"


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A sample that waits for a person.

    Attributes:
        trust_0_1: Probability that it is right, by its raters' reliability and by how many of them agree.
        correction: Whether somebody wrote the answer, not the model.
    """

    sample_id: str
    input: str
    trust_0_1: float
    correction: bool


def rank(held: Sequence[Held]) -> dict[str, float]:
    """Priority by sample id, highest first: bits of doubt, times worth, by the root of how many are alike."""
    alike = Counter(template_of(one.input) for one in held)
    worth = {
        one.sample_id: doubt_bits(one.trust_0_1)
        * (_CORRECTION_WORTH if one.correction else 1.0)
        / math.sqrt(alike[template_of(one.input)])
        for one in held
    }
    return dict(sorted(worth.items(), key=lambda item: (-item[1], item[0])))


def doubt_bits(trust_0_1: float) -> float:
    """Entropy of whether it is right: 1 where that is open, 0 where it is sure."""
    if not 0 < trust_0_1 < 1:
        return 0.0
    other = 1 - trust_0_1
    return -trust_0_1 * math.log2(trust_0_1) - other * math.log2(other)


def template_of(text: str) -> str:
    """Texts that differ in numbers only are alike."""
    return _NUMBERS.sub("#", text[:_TEMPLATE_CHARS].casefold())


def model_was_right(decision: Decision, *, correction: bool) -> bool | None:
    """What a decision says of the answer that the model gave; None if nothing."""
    match decision:
        case Decision.ACCEPT:
            return not correction
        case Decision.CORRECT:
            return False
        case Decision.REJECT:
            return None if correction else False

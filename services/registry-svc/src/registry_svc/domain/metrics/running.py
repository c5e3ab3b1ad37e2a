"""What answers cost: time, tokens, and how likely the expected answer was to the variant."""

from collections.abc import Sequence
from math import exp

import numpy as np


def quantile(values: Sequence[float], share_0_1: float) -> float:
    """Quantile by linear interpolation (type 7 of Hyndman and Fan 1996); of at least one value."""
    return float(np.quantile(np.asarray(values, dtype=np.float64), share_0_1))


def tokens_per_s(tokens: Sequence[int], latencies_ms: Sequence[float]) -> float | None:
    """Generated tokens per second of waiting, over all answers; None if no time went by."""
    seconds = sum(latencies_ms) / 1000
    return sum(tokens) / seconds if seconds > 0 else None


def perplexity(nats: Sequence[float], tokens: Sequence[float]) -> float | None:
    """The exponential of the mean negative log-likelihood of a token of the expected answers (Jelinek et al. 1977).

    Args:
        nats: Negative log-likelihood of each expected answer, in nats.
        tokens: Tokens of each.

    Returns:
        None without tokens, or where it is beyond all numbers.
    """
    total = sum(tokens)
    if not total:
        return None
    try:
        return exp(sum(nats) / total)
    except OverflowError:
        return None

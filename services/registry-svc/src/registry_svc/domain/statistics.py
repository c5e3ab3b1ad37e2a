"""The paired test of two variants that answered the same cases."""

from math import comb


def mcnemar_exact(first_only: int, second_only: int) -> float:
    """Exact two-sided McNemar test (McNemar 1947): are the discordant cases split like coin tosses?

    Args:
        first_only: Cases that only the first variant got right.
        second_only: Cases that only the second variant got right.

    Returns:
        p-value; 1 when no case is discordant.
    """
    discordant = first_only + second_only
    smaller = min(first_only, second_only)
    tail = sum(comb(discordant, k) for k in range(smaller + 1))
    # integers until the last step: 2 ** n overflows a float beyond a thousand discordant cases
    return min(1.0, 2 * tail / 2**discordant)

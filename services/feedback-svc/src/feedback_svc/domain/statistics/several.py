"""More than one challenger, more than one look: what keeps the error rate of the whole.

Source: Holm: A simple sequentially rejective multiple test procedure. Scandinavian Journal of Statistics 6, 1979.
"""

from collections.abc import Sequence


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values in the order given: below alpha, and the error rate over all of them is kept."""
    adjusted = [1.0] * len(p_values)
    floor = 0.0
    for rank, at in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        floor = max(floor, min(1.0, (len(p_values) - rank) * p_values[at]))
        adjusted[at] = floor
    return adjusted

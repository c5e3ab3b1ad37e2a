"""What a rating may say."""

import math


def value_problem(metric: str, value: float) -> str | None:
    """Why a value is not on its metric's scale; None if it is."""
    if metric == "stars":
        return None if 1 <= value <= 5 else "stars are between 1 and 5"
    if metric == "thumb":
        return None if value in {0, 1} else "a thumb is 0 or 1"
    return None if math.isfinite(value) else "a value is a finite number"

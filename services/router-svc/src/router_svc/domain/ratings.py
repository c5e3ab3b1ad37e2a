"""What a rating may say."""

from loopwright.contracts.inferences import LARGEST_VALUE


def value_problem(metric: str, value: bool | float) -> str | None:  # noqa: FBT001 - a value may be one
    """Why a value is not on its metric's scale; None if it is."""
    if metric == "stars":
        return None if 1 <= value <= 5 and not isinstance(value, bool) else "stars are numbers between 1 and 5"
    if metric == "thumb":
        return None if value in {0, 1} else "a thumb is 0 or 1"
    return None if abs(value) <= LARGEST_VALUE else f"a value lies between {-LARGEST_VALUE:g} and {LARGEST_VALUE:g}"

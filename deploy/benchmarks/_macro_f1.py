"""Macro-F1 for task files of lm-evaluation-harness, which calls it with pairs of right and chosen class."""  # noqa: INP001 - it is loaded by its path

from collections.abc import Sequence

from sklearn.metrics import f1_score


def macro_f1(pairs: Sequence[tuple[int, int]]) -> float:
    right, chosen = zip(*pairs, strict=True)
    return float(f1_score(right, chosen, average="macro", zero_division=0))

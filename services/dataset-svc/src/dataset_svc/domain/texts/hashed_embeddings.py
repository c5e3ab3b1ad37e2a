"""A vector for a text without any model: signed feature hashing of its terms and character grams.

It measures likeness of form. Words of like meaning and unlike spelling are as far apart as any others; for those an
embedding model behind an endpoint is needed.
"""

import hashlib
import math
from collections import Counter
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from dataset_svc.domain.texts.morphemes import plain

DIMENSIONS = 256
NAME = "hashing-256-v1"
_GRAM_CHARS = (2, 3)
_TERM_WEIGHT = 2.0  # a whole term says more than the grams inside it


def embed(text: str, terms: Iterable[str]) -> NDArray[np.float32]:
    """Unit vector `[256]` (all zero for a text without letters or digits); equal texts give equal vectors everywhere.

    Signed feature hashing after Weinberger et al. 2009: the sign makes collisions cancel in expectation.
    """
    weights: Counter[str] = Counter()
    for term, count in Counter(terms).items():
        weights[f"term {term}"] += _TERM_WEIGHT * (1 + math.log(count))  # pyright: ignore[reportArgumentType] - Counter adds floats as well
    for gram, count in Counter(_grams(text)).items():
        weights[f"gram {gram}"] += 1 + math.log(count)  # pyright: ignore[reportArgumentType] - as above
    vector = np.zeros(DIMENSIONS, dtype=np.float64)
    for feature, weight in weights.items():
        code = int.from_bytes(hashlib.blake2b(feature.encode(), digest_size=8).digest(), "little")
        vector[code % DIMENSIONS] += weight if code >> 63 else -weight
    length = float(np.linalg.norm(vector))
    return (vector / length if length else vector).astype(np.float32)


def _grams(text: str) -> Iterable[str]:
    """Character 2- and 3-grams inside words; marks and spaces part words."""
    for word in "".join(sign if sign.isalnum() else " " for sign in plain(text)).split():
        for size in _GRAM_CHARS:
            for place in range(len(word) - size + 1):
                yield word[place : place + size]

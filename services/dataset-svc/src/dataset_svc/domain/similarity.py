"""How alike two texts are: the Jaccard index of their character 5-grams, and an index that finds who may be alike.

Characters rather than words: Korean glues particles to words, and a log line has too few words for word n-grams.
"""

import unicodedata
from collections.abc import Hashable

import numpy as np
from datasketch import MinHash, MinHashLSH
from numpy.typing import NDArray

Shingles = NDArray[np.uint64]
_GRAM_CHARS = 5
_PERMUTATIONS = 128
_MISSED_0_1 = 1e-6  # share of pairs exactly at the threshold that the index may overlook
_BASE = np.uint64(0x9E3779B97F4A7C15)
_MIX_1, _MIX_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


def shingles_of(text: str) -> Shingles:
    """64-bit hashes of a text's character 5-grams, sorted, each once; case and spacing do not count."""
    plain = " ".join(unicodedata.normalize("NFC", text).casefold().split())
    codes = np.frombuffer(plain.encode("utf-32-le"), dtype=np.uint32).astype(np.uint64) + np.uint64(1)
    grams = max(1, len(codes) - _GRAM_CHARS + 1)
    hashes = np.zeros(grams, dtype=np.uint64)
    for place in range(min(_GRAM_CHARS, len(codes))):
        hashes = hashes * _BASE + codes[place : place + grams]
    return np.unique(_mixed(hashes))


def _mixed(values: Shingles) -> Shingles:
    """Finaliser of splitmix64 (Steele et al. 2014), so that the low 32 bits are fit for MinHash."""
    values = (values ^ (values >> np.uint64(30))) * _MIX_1
    values = (values ^ (values >> np.uint64(27))) * _MIX_2
    return values ^ (values >> np.uint64(31))


def jaccard(one: Shingles, other: Shingles) -> float:
    """Size of the intersection over size of the union."""
    common = len(np.intersect1d(one, other, assume_unique=True))
    return common / (len(one) + len(other) - common)


def banding(threshold_0_1: float) -> tuple[int, int]:
    """Bands and rows of the widest rows that overlook at most one in a million pairs at the threshold."""
    for rows in range(16, 1, -1):
        bands = _PERMUTATIONS // rows
        if (1 - threshold_0_1**rows) ** bands <= _MISSED_0_1:
            return bands, rows
    return _PERMUTATIONS, 1


class SimilarityIndex:
    """Texts by key; finds those that may be alike enough. Callers check the true index of what it finds."""

    def __init__(self, *, threshold_0_1: float) -> None:
        self._lsh = MinHashLSH(num_perm=_PERMUTATIONS, params=banding(threshold_0_1))
        self._blank = MinHash(num_perm=_PERMUTATIONS, hashfunc=int)

    def sketch(self, shingles: Shingles) -> MinHash:
        sketch = self._blank.copy()
        sketch.update_batch(shingles & np.uint64(0xFFFFFFFF))
        return sketch

    def insert(self, key: Hashable, sketch: MinHash) -> None:
        self._lsh.insert(key, sketch, check_duplication=False)

    def candidates(self, sketch: MinHash) -> list[Hashable]:
        return list(self._lsh.query(sketch))

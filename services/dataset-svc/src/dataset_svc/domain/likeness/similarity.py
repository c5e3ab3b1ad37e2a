"""How alike two texts are: the Jaccard index of their character 5-grams, and an index of texts that can grow.

Characters rather than words: Korean glues particles to words, and a log line has too few words for word n-grams.
"""

from collections.abc import Hashable

import numpy as np
from datasketch import MinHash, MinHashLSH
from numpy.typing import NDArray

from dataset_svc.domain.likeness import kernels
from dataset_svc.domain.likeness.minhash import Grams, Signatures, packed, signatures_of

Shingles = NDArray[np.uint64]
_MISSED_0_1 = 1e-6  # share of pairs exactly at the threshold that an index may overlook


def shingles_of(text: str, grams: Grams = Grams.CHARACTERS_5) -> Shingles:
    """64-bit hashes of a text's grams, sorted, each once; case and spacing do not count."""
    texts = packed([text])
    scratch = kernels.scratch_for(texts, 0, 1)
    count = kernels.read_grams(texts, 0, int(grams), scratch)
    return np.unique(scratch.grams[:count])


def jaccard(one: Shingles, other: Shingles) -> float:
    """Size of the intersection over size of the union."""
    common = len(np.intersect1d(one, other, assume_unique=True))
    return common / (len(one) + len(other) - common)


def banding(threshold_0_1: float, *, missed_0_1: float = _MISSED_0_1) -> tuple[int, int]:
    """Bands and rows of the widest rows that overlook at most a share `missed_0_1` of the pairs at the threshold.

    32 bands of 4 rows is what 0.7 comes to where one pair in a hundred may be overlooked.
    """
    for rows in range(16, 1, -1):
        bands = kernels.PERMUTATIONS // rows
        if (1 - threshold_0_1**rows) ** bands <= missed_0_1:
            return bands, rows
    return kernels.PERMUTATIONS, 1


class SimilarityIndex:
    """Texts by key, in datasketch's index; finds those that may be alike enough. Callers check the true index of those.

    For sets that grow text by text; `near_pairs` is the way for whole sets.
    """

    def __init__(self, *, threshold_0_1: float, grams: Grams = Grams.CHARACTERS_5) -> None:
        self._grams = grams
        self._lsh = MinHashLSH(num_perm=kernels.PERMUTATIONS, params=banding(threshold_0_1))
        self._permutations = MinHash(num_perm=kernels.PERMUTATIONS).permutations

    def sketch(self, text: str) -> MinHash:
        return self.sketch_of_signature(signatures_of(packed([text]), self._grams)[0])

    def sketch_of_signature(self, signature: Signatures) -> MinHash:
        """What datasketch makes of one row [128] of `signatures_of`."""
        return MinHash(hashvalues=signature, permutations=self._permutations, scheme="affine32")

    def insert(self, key: Hashable, sketch: MinHash) -> None:
        self._lsh.insert(key, sketch, check_duplication=False)

    def candidates(self, sketch: MinHash) -> list[Hashable]:
        return list(self._lsh.query(sketch))

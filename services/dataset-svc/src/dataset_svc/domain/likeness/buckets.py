# numba types scalars by itself; what numpy's stubs make of their arithmetic is wrong for compiled code
# pyright: reportArgumentType=false
"""Compiled loops from signatures to buckets: keys of bands, and chains of the texts with one key.

They call no loop of another file, for numba's cache on disk notices changes of a function's own file only.
"""

import numpy as np
from numpy.typing import NDArray

from dataset_svc.domain.likeness.buffers import NOBODY
from loopwright.compiling import compiled

_GOLDEN, _MIX = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9)


@compiled
def band_keys(signatures: NDArray[np.uint32], rows: int, keys: NDArray[np.uint32]) -> None:
    """One 32-bit key per band of `rows` minima, into `keys` [bands, texts]."""
    for text in range(len(signatures)):
        for band in range(len(keys)):
            value = np.uint64(band)
            for place in range(band * rows, band * rows + rows):
                value = (value ^ np.uint64(signatures[text, place])) * _MIX
                value ^= value >> np.uint64(29)
            keys[band, text] = np.uint32(value >> np.uint64(32))


@compiled
def link_equal(keys: NDArray[np.uint32], table: NDArray[np.int32], links: NDArray[np.int32]) -> None:
    """For each place the last earlier place with the same key, else -1.

    Args:
        keys: [places]
        table: All -1; its length is a power of two and more than the number of places.
        links: [places], written.
    """
    mask = np.uint64(len(table) - 1)
    for place in range(len(keys)):
        slot = np.uint64(keys[place]) * _GOLDEN >> np.uint64(32) & mask
        while table[slot] != NOBODY and keys[table[slot]] != keys[place]:
            slot = (slot + np.uint64(1)) & mask
        links[place] = table[slot]
        table[slot] = place

# numba types scalars by itself; what numpy's stubs make of their arithmetic is wrong for compiled code
# pyright: reportArgumentType=false, reportReturnType=false, reportAssignmentType=false, reportGeneralTypeIssues=false
"""Compiled scans for the search of given-away cases: which of millions of hashes may be wanted, which texts are Korean.

They call no loop of another file, for numba's cache on disk notices changes of a function's own file only.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from dataset_svc.domain.likeness.buffers import Texts
from loopwright.compiling import compiled

_BITS_PER_HASH: Final = 32  # two of which are set: about one in 270 strangers passes
_LEAST_BITS, _MOST_BITS = 1 << 10, 1 << 26  # 8 MiB, of the order of a third-level cache
_LOW, _SHIFT = np.uint64(7), np.uint64(32)
_FIRST_BYTE, _LAST_BYTE = 0xEA, 0xED  # that Hangul syllables begin with in UTF-8


class HashFilter:
    """A Bloom filter: hashes to look for."""

    def __init__(self, hashes: NDArray[np.uint64]) -> None:
        wanted = 1 << (len(hashes) * _BITS_PER_HASH).bit_length()
        self._bits = np.zeros(min(max(wanted, _LEAST_BITS), _MOST_BITS) // 8, dtype=np.uint8)
        _set_bits(hashes, self._bits)

    def likely(self, hashes: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Places of the hashes that may be among those that are looked for, ascending."""
        found = np.empty(len(hashes), dtype=np.int64)
        return found[: _find_likely(hashes, self._bits, found)].copy()


@compiled
def _set_bits(hashes: NDArray[np.uint64], bits: NDArray[np.uint8]) -> None:
    mask = np.uint64(len(bits) * 8 - 1)
    for place in range(len(hashes)):
        one, other = hashes[place] & mask, (hashes[place] >> _SHIFT) & mask
        bits[one >> np.uint64(3)] |= np.uint8(1) << np.uint8(one & _LOW)
        bits[other >> np.uint64(3)] |= np.uint8(1) << np.uint8(other & _LOW)


@compiled
def _find_likely(hashes: NDArray[np.uint64], bits: NDArray[np.uint8], found: NDArray[np.int64]) -> int:
    mask, count = np.uint64(len(bits) * 8 - 1), 0
    for place in range(len(hashes)):
        one = hashes[place] & mask
        if (bits[one >> np.uint64(3)] >> np.uint8(one & _LOW)) & np.uint8(1):
            other = (hashes[place] >> _SHIFT) & mask
            if (bits[other >> np.uint64(3)] >> np.uint8(other & _LOW)) & np.uint8(1):
                found[count] = place
                count += 1
    return count


def hangul_shares_0_1(texts: Texts) -> NDArray[np.float64]:
    """Share of Hangul in the characters of each text."""
    shares = np.zeros(len(texts.starts))
    _count_hangul(texts, shares)
    return shares


@compiled
def _count_hangul(texts: Texts, shares: NDArray[np.float64]) -> None:
    for row in range(len(shares)):
        characters, hangul = 0, 0
        for place in range(texts.starts[row], texts.stops[row]):
            byte = texts.content[place]
            characters += (byte & 0xC0) != 0x80
            hangul += _FIRST_BYTE <= byte <= _LAST_BYTE
        if characters:
            shares[row] = hangul / characters

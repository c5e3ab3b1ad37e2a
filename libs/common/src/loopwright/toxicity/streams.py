"""Texts as code points in one buffer, as the compiled loops that look for terms and count read them.

What numba's cache on disk notices is a change of a function's own file, so each file of loops is complete in itself, and
tables are handed in rather than frozen into the code.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from loopwright.compiling import compiled
from loopwright.toxicity.characters import CLASS_OF, FOLDED, FOREIGN, HANGUL, STAND_IN

Ints = NDArray[np.int64]
_LAST, _BEYOND = np.uint32(0xFFFF), np.uint32(STAND_IN)


class Stream(NamedTuple):
    """Texts in one buffer; text i is `codes[starts[i]:starts[i + 1]]`.

    Attributes:
        codes: Code points, folded to lower case; beyond the basic plane one stand-in.
        classes: Class of each character before it was folded.
        edge: Whether a word may begin here.
    """

    codes: NDArray[np.uint32]
    classes: NDArray[np.uint8]
    starts: Ints
    edge: NDArray[np.bool_]


def stream_of(texts: Sequence[str]) -> Stream:
    """Joins texts; a lone surrogate, which no valid UTF-8 holds, counts as a broken character."""
    starts = np.zeros(len(texts) + 1, dtype=np.int64)
    np.cumsum(np.fromiter(map(len, texts), dtype=np.int64, count=len(texts)), out=starts[1:])
    raw = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    stream = Stream(
        codes=np.empty(len(raw), dtype=np.uint32),
        classes=np.empty(len(raw), dtype=np.uint8),
        starts=starts,
        edge=np.empty(len(raw), dtype=np.bool_),
    )
    _read(raw, stream, (CLASS_OF, FOLDED))
    return stream


@compiled
def _read(raw: NDArray[np.uint32], stream: Stream, tables: tuple[NDArray[np.uint8], NDArray[np.uint32]]) -> None:
    """Fills a stream from code points by the tables of classes and of folded forms."""
    class_of, folded = tables
    codes, classes, edge = stream.codes, stream.classes, stream.edge
    for text in range(len(stream.starts) - 1):
        begins = True
        for place in range(stream.starts[text], stream.starts[text + 1]):
            code = raw[place] if raw[place] <= _LAST else _BEYOND
            kind = class_of[code]
            codes[place], classes[place], edge[place] = folded[code], kind, begins
            begins = kind < HANGUL or kind > FOREIGN

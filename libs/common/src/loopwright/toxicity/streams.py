"""Texts as code points in one buffer, as the compiled loops that look for terms and count read them.

What numba's cache on disk notices is a change of a function's own file, so each file of loops is complete in itself, and
tables are handed in rather than frozen into the code. Codes and classes are narrow, for then one instruction of the
processor reads dozens of them.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from loopwright.compiling import compiled
from loopwright.toxicity.characters import CLASS_OF, FOLDED, FOREIGN, HANGUL, OTHER, STAND_IN

Ints = NDArray[np.int64]
Codes = NDArray[np.uint16]
Classes = NDArray[np.uint8]
_LAST, _BEYOND = np.uint32(0xFFFF), np.uint32(STAND_IN)


class Stream(NamedTuple):
    """Texts in one buffer; text i is `codes[starts[i]:starts[i + 1] - 1]`.

    Before the first text lie two empty places, after each text one, after the last text two: loops look at neighbours
    without asking where a text ends. An empty place has code 0 and class OTHER.

    Attributes:
        codes: Code points, folded to lower case; beyond the basic plane one stand-in.
        classes: Class of each character before it was folded.
        edge: Whether a word may begin here.
    """

    codes: Codes
    classes: Classes
    starts: Ints
    edge: NDArray[np.bool_]


def stream_of(texts: Sequence[str]) -> Stream:
    """Joins texts; a lone surrogate, which no valid UTF-8 holds, counts as a broken character."""
    starts = np.full(len(texts) + 1, 2, dtype=np.int64)
    starts[1:] += np.cumsum(np.fromiter(map(len, texts), dtype=np.int64, count=len(texts)) + 1)
    # numpy keeps text as code points: this copies them without encoding
    raw = np.array(["\0".join(("", "", *texts, "", ""))]).view(np.uint32)
    stream = Stream(
        codes=np.empty(len(raw), dtype=np.uint16),
        classes=np.empty(len(raw), dtype=np.uint8),
        starts=starts,
        edge=np.empty(len(raw), dtype=np.bool_),
    )
    _read(raw, stream, (CLASS_OF, FOLDED))
    return stream


@compiled
def _read(raw: NDArray[np.uint32], stream: Stream, tables: tuple[Classes, Codes]) -> None:
    """Fills a stream from code points by the tables of classes and of folded forms."""
    class_of, folded = tables
    codes, classes, edge = stream.codes, stream.classes, stream.edge
    for place in range(len(raw)):
        code = raw[place] if raw[place] <= _LAST else _BEYOND
        codes[place], classes[place] = folded[code], class_of[code]
    classes[0] = classes[len(raw) - 1] = OTHER
    for start in stream.starts:
        classes[start - 1] = OTHER
    edge[0] = True
    for place in range(1, len(raw)):
        edge[place] = (classes[place - 1] < HANGUL) | (classes[place - 1] > FOREIGN)

"""Texts as the compiled loops read them, their MinHash signatures, and what is kept of them for the search of like texts.

Signatures are those of `datasketch.MinHash(scheme="affine32")` bit by bit, so they can be put into its indexes.
"""

import unicodedata
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dataset_svc.domain.likeness import buckets, kernels
from dataset_svc.domain.likeness.buffers import Texts
from dataset_svc.domain.likeness.scans import mark_unplain

Strings: TypeAlias = "Sequence[str] | pa.StringArray | pa.LargeStringArray"
Signatures = NDArray[np.uint32]
_CHUNK_ROWS: Final = 4096  # 2 MiB of signatures, about the second-level caches


class Grams(IntEnum):
    """What texts are compared by; positive ones count words, negative ones characters.

    Characters suit Korean, which glues particles to words, and short texts; words suit long ones.
    """

    WORDS_3 = 3
    WORDS_13 = 13
    CHARACTERS_5 = -5
    CHARACTERS_40 = -40


@dataclass(frozen=True, kw_only=True)
class Sketches:
    """What is kept of signatures.

    Attributes:
        low_bytes: [texts, 128], the low byte of each minimum: enough to estimate the Jaccard index.
        band_keys: [bands, texts]; texts with an equal key in a band are candidates.
    """

    low_bytes: NDArray[np.uint8]
    band_keys: NDArray[np.uint32]


def plain_text(text: str) -> str:
    """Texts that differ in composition, case and spacing only become one. NUL counts as space."""
    return " ".join(unicodedata.normalize("NFC", text.replace("\0", " ")).casefold().split())


def packed(texts: Strings, *, threads: int = 1) -> Texts:
    """Texts in one buffer, ready for the compiled loops, which fold ASCII themselves.

    Only texts with a character that composition, case folding or spacing could touch (Latin with accents, Greek,
    Cyrillic, rare spaces; not Hangul, Han, Kana, common signs) are folded here, one by one.
    """
    plain = _buffers(texts)
    marks = np.zeros(len(plain.starts), dtype=np.bool_)

    def mark(first: int, stop: int) -> None:
        mark_unplain(stretch(plain, first, stop), marks[first:stop])

    _in_chunks(len(marks), mark, threads=threads)
    rows = np.flatnonzero(marks)
    if not len(rows):
        return plain
    folded = _buffers([plain_text(_text_at(plain, int(row))) for row in rows])
    plain.starts[rows] = folded.starts + len(plain.content)
    plain.stops[rows] = folded.stops + len(plain.content)
    return _texts(plain.starts, plain.stops, np.concatenate((plain.content, folded.content)))


def taken(texts: Texts, rows: NDArray[np.int64]) -> Texts:
    """Some of the texts, in the same buffer."""
    return Texts(starts=texts.starts[rows], stops=texts.stops[rows], content=texts.content)


def stretch(texts: Texts, first: int, stop: int) -> Texts:
    """Texts that follow each other, in the same buffer."""
    return Texts(starts=texts.starts[first:stop], stops=texts.stops[first:stop], content=texts.content)


def stretches(texts: Texts, *, most_bytes: int, most_texts: int | None = None) -> Iterator[tuple[int, int]]:
    """First and stop of stretches of at most so many bytes, or of one text that is longer, one after the other."""
    ends = np.cumsum(texts.stops - texts.starts)
    longest = len(ends) if most_texts is None else most_texts
    first = 0
    while first < len(ends):
        before = int(ends[first - 1]) if first else 0
        stop = max(first + 1, int(np.searchsorted(ends, before + most_bytes, side="right")))
        stop = min(first + longest, stop)
        yield first, stop
        first = stop


def one_after_the_other(one: Texts, other: Texts) -> Texts:
    if not (len(one.starts) and len(other.starts)):
        return one if len(one.starts) else other
    shift = len(one.content)
    return _texts(
        np.concatenate((one.starts, other.starts + shift)),
        np.concatenate((one.stops, other.stops + shift)),
        np.concatenate((one.content, other.content)),
    )


def signatures_of(texts: Texts, grams: Grams, *, threads: int = 1) -> Signatures:
    """MinHash [texts, 128]; 512 bytes a text."""
    signatures = np.empty((len(texts.starts), kernels.PERMUTATIONS), dtype=np.uint32)
    permutations = kernels.affine()

    def sign(first: int, stop: int) -> None:
        kernels.sign(texts, int(grams), permutations, first, signatures[first:stop])

    _in_chunks(len(signatures), sign, threads=threads)
    return signatures


def sketches_of(texts: Texts, grams: Grams, *, bands: tuple[int, int], threads: int = 1) -> Sketches:
    """Sketches of texts; the signatures themselves live for a chunk only.

    Args:
        bands: Bands, and rows of a band.
    """
    rows = len(texts.starts)
    low_bytes = np.empty((rows, kernels.PERMUTATIONS), dtype=np.uint8)
    keys = np.empty((bands[0], rows), dtype=np.uint32)
    permutations = kernels.affine()

    def sketch(first: int, stop: int) -> None:
        signatures = np.empty((stop - first, kernels.PERMUTATIONS), dtype=np.uint32)
        kernels.sign(texts, int(grams), permutations, first, signatures)
        low_bytes[first:stop] = signatures.astype(np.uint8)
        chunk = np.empty((bands[0], stop - first), dtype=np.uint32)
        buckets.band_keys(signatures, bands[1], chunk)
        keys[:, first:stop] = chunk

    _in_chunks(rows, sketch, threads=threads)
    return Sketches(low_bytes=low_bytes, band_keys=keys)


def whole_hashes(texts: Texts) -> NDArray[np.uint64]:
    """One hash per text, the same for texts that are the same once plain."""
    hashes = np.empty(len(texts.starts), dtype=np.uint64)
    kernels.hash_whole(texts, hashes)
    return hashes


def _in_chunks(rows: int, work: Callable[[int, int], None], *, threads: int) -> None:
    """Calls `work(first, stop)` for all rows; the compiled loops hold no GIL, so threads share the cores."""
    chunks = [(first, min(first + _CHUNK_ROWS, rows)) for first in range(0, rows, _CHUNK_ROWS)]
    if threads == 1 or len(chunks) == 1:
        for first, stop in chunks:
            work(first, stop)
        return
    with ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(lambda chunk: work(*chunk), chunks):
            pass


def _buffers(texts: Strings) -> Texts:
    if isinstance(texts, Sequence):
        return _encoded(texts)
    width = np.int32 if isinstance(texts, pa.StringArray) else np.int64
    _, ends, content = texts.buffers()
    if not len(texts) or content is None:
        nothing = np.zeros(len(texts), dtype=np.int64)
        return _texts(nothing, nothing.copy(), np.zeros(0, dtype=np.uint8))
    offsets = np.frombuffer(ends, dtype=width, count=texts.offset + len(texts) + 1)[texts.offset :].astype(np.int64)
    return _texts(offsets[:-1].copy(), offsets[1:].copy(), np.frombuffer(content, dtype=np.uint8))


def _encoded(texts: Sequence[str]) -> Texts:
    """Not by way of Arrow, which leaves a second copy of every text in memory for as long as the text lives."""
    try:
        encoded = [text.encode() for text in texts]
    except UnicodeEncodeError:  # half a surrogate pair, which JSON can say and UTF-8 cannot
        encoded = [text.encode(errors="replace") for text in texts]
    sizes = np.fromiter(map(len, encoded), dtype=np.int64, count=len(encoded))
    stops = np.cumsum(sizes)
    content = np.frombuffer(b"".join(encoded) or b"\0", dtype=np.uint8)  # NumPy takes no empty buffer
    return _texts(stops - sizes, stops, content)


def _texts(starts: NDArray[np.int64], stops: NDArray[np.int64], content: NDArray[np.uint8]) -> Texts:
    content.flags.writeable = False  # always, because numba compiles once for each kind of array
    return Texts(starts=starts, stops=stops, content=content)


def _text_at(texts: Texts, row: int) -> str:
    return bytes(texts.content[texts.starts[row] : texts.stops[row]]).decode(errors="replace")

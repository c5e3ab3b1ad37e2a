# numba types scalars by itself; what numpy's stubs make of their arithmetic is wrong for compiled code
# pyright: reportReturnType=false
"""One pass over texts: characters, words, and a hash of every different word.

A word is a row of letters, digits and combining marks in any script, in lower case.
"""

# ruff: noqa: SLF001 - merging reads what another of the same class holds

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from loopwright.compiling import compiled, compiled_inner

_TABLE_SIZE = 0x20000  # letters beyond the first two planes are ideographs: words, without case
_SPACE, _LINE_END = 0x20, 0x0A
_CHUNK_BYTES = 4 << 20
_FNV_OFFSET = np.uint64(0xCBF29CE484222325)
_FNV_PRIME = np.uint64(0x100000001B3)
_MIX = (np.uint64(0xFF51AFD7ED558CCD), np.uint64(0xC4CEB9FE1A85EC53))
_HALF = np.uint64(33)
_RECENT = 1 << 16  # hashes of words, most of which come again soon
_NO, _YES = np.uint64(0), np.uint64(1)
_NEVER = np.iinfo(np.uint64).max


@dataclass(frozen=True, kw_only=True)
class TextSizes:
    """Sizes of texts in order: `int32 [n]` each."""

    characters: NDArray[np.int32]
    words: NDArray[np.int32]


@cache
def folded_signs() -> NDArray[np.uint32]:
    """By code point its lower case; 0 for what stands between words."""
    table = np.zeros(_TABLE_SIZE, dtype=np.uint32)
    for code in range(_TABLE_SIZE):
        sign = chr(code)
        if sign.isalnum() or unicodedata.category(sign).startswith("M"):
            lower = sign.lower()
            table[code] = ord(lower) if len(lower) == 1 else code
    return table


def words_of(texts: Sequence[str]) -> Iterator[list[str]]:
    """The words of each text, as the kernel cuts them; texts hold no half of a surrogate pair, and are at least one."""
    ends = np.cumsum([len(text) + 1 for text in texts]) - 1
    codes = np.frombuffer("\n".join((*texts, "")).encode("utf-32-le"), dtype=np.uint32)
    folded = folded_signs()[np.minimum(codes, _TABLE_SIZE - 1)]
    folded = np.where(codes < _TABLE_SIZE, folded, codes)
    folded[folded == 0] = _SPACE
    folded[ends] = _LINE_END
    return (line.split() for line in folded.tobytes().decode("utf-32-le").split("\n")[:-1])


@dataclass(frozen=True, kw_only=True)
class WordCuts:
    """The words of texts one after the other, and after those of each text an empty one.

    Attributes:
        content: All texts, in UTF-8.
        places: Where each word begins and ends in it `int32 [words, 2]`.
        hashes: Equal for words that are equal in lower case `[words]`.
    """

    content: NDArray[np.uint8]
    places: NDArray[np.int32]
    hashes: NDArray[np.uint64]


def cut_words(texts: pa.LargeStringArray) -> WordCuts:
    """Cuts some texts, together less than two gigabytes."""
    content, offsets = _buffers(texts)
    most = int(offsets[-1] - offsets[0]) // 2 + 2 * len(texts)
    places, hashes = np.empty((most, 2), dtype=np.int32), np.empty(most, dtype=np.uint64)
    count = _cut((content, offsets, folded_signs()), places, hashes)
    return WordCuts(content=content, places=places[:count], hashes=hashes[:count])


class WordScanner:
    """Measures texts and remembers the smallest hashes of their words.

    The `limit + 1` smallest hashes of different words say how many there are: all of them if there are no more than
    `limit`, else by how densely they lie (k minimum values, Bar-Yossef et al. 2002; standard error 1 / sqrt(limit)).
    They do not depend on the order of the texts.
    """

    def __init__(self, *, limit: int = 1 << 16) -> None:
        self._limit = limit
        self._smallest = np.zeros(0, dtype=np.uint64)
        self._recent = np.zeros(_RECENT, dtype=np.uint64)

    def scan(self, texts: pa.LargeStringArray) -> TextSizes:
        content, offsets = _buffers(texts)
        characters = np.zeros(len(texts), dtype=np.int32)
        words = np.zeros(len(texts), dtype=np.int32)
        for first, last in _chunks(offsets):
            found = np.empty((offsets[last] - offsets[first]) // 2 + last - first + 1, dtype=np.uint64)
            rows = slice(first, last)
            count = _scan(
                (content, offsets[first : last + 1], folded_signs()),
                (np.uint64(self._bound()), self._recent),
                (characters[rows], words[rows], found),
            )
            self._take(found[:count])
        return TextSizes(characters=characters, words=words)

    def __getstate__(self) -> tuple[int, NDArray[np.uint64]]:
        """What crosses to another process: not the half megabyte that only spare work."""
        return self._limit, self._smallest

    def __setstate__(self, state: tuple[int, NDArray[np.uint64]]) -> None:
        self.__init__(limit=state[0])
        self._smallest = state[1]

    def merge(self, other: "WordScanner") -> None:
        self._take(other._smallest)

    def distinct(self) -> tuple[int, float]:
        """How many different words there are, and the relative standard error of that (0 if exact)."""
        if len(self._smallest) <= self._limit:
            return len(self._smallest), 0.0
        share = (int(self._smallest[self._limit - 1]) + 1) / 2**64
        return round((self._limit - 1) / share), round(self._limit**-0.5, 6)

    def _bound(self) -> int:
        """Hashes from here on are of no use any more."""
        return int(self._smallest[-1]) if len(self._smallest) > self._limit else int(_NEVER)

    def _take(self, hashes: NDArray[np.uint64]) -> None:
        # numpy's own unique is several times slower here
        ordered = np.sort(np.concatenate([self._smallest, hashes]))
        first = np.ones(len(ordered), dtype=np.bool_)
        first[1:] = ordered[1:] != ordered[:-1]
        self._smallest = ordered[first][: self._limit + 1]


def hashes_of(texts: pa.LargeStringArray) -> NDArray[np.uint64]:
    """One hash a text, equal for equal bytes only (64 bits), `uint64 [n]`."""
    content, offsets = _buffers(texts)
    hashes = np.empty(len(texts), dtype=np.uint64)
    _hash_rows(content, offsets, hashes)
    return hashes


def _buffers(texts: pa.LargeStringArray) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    if not len(texts):
        return np.zeros(0, dtype=np.uint8), np.zeros(1, dtype=np.int64)
    _, places, content = texts.buffers()
    offsets = np.frombuffer(places, dtype=np.int64)[texts.offset : texts.offset + len(texts) + 1]
    return np.frombuffer(content or b"", dtype=np.uint8), offsets


def _chunks(offsets: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Rows from first to last, at least one, together about as large as a chunk may be."""
    first, rows = 0, len(offsets) - 1
    while first < rows:
        last = int(np.searchsorted(offsets, offsets[first] + _CHUNK_BYTES, side="right")) - 1
        last = min(max(last, first + 1), rows)
        yield first, last
        first = last


_Source = tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.uint32]]
_Filter = tuple[np.uint64, NDArray[np.uint64]]
_Result = tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.uint64]]


@compiled_inner
def _mixed(value: np.uint64) -> np.uint64:
    """The last step of MurmurHash3 (Appleby, public domain): every bit of the input moves every bit of the output."""
    value = (value ^ (value >> _HALF)) * _MIX[0]
    value = (value ^ (value >> _HALF)) * _MIX[1]
    return value ^ (value >> _HALF)


@compiled_inner
def _next_sign(content: NDArray[np.uint8], place: int) -> tuple[np.int64, int]:
    """Code point of valid UTF-8, and its length in bytes."""
    byte = np.int64(content[place])
    if byte < 0x80:
        return byte, 1
    second = np.int64(content[place + 1]) & 0x3F
    if byte < 0xE0:
        return ((byte & 0x1F) << 6) | second, 2
    third = np.int64(content[place + 2]) & 0x3F
    if byte < 0xF0:
        return ((byte & 0x0F) << 12) | (second << 6) | third, 3
    return ((byte & 0x07) << 18) | (second << 12) | (third << 6) | (np.int64(content[place + 3]) & 0x3F), 4


@compiled_inner
def _is_ascii(content: NDArray[np.uint8], first: int, last: int) -> bool:
    bits = np.uint8(0)
    for place in range(np.uint64(first), np.uint64(last)):
        bits = np.uint8(bits | content[place])
    return bits < 0x80


@compiled_inner
def _scan_ascii(
    text: tuple[NDArray[np.uint8], int, int], folded: NDArray[np.uint32], hashes: NDArray[np.uint64], found: int
) -> int:
    """Writes what the words hash to before it is mixed; gives the end of that.

    Nothing branches: where words end cannot be foretold, and a wrong guess would cost as much as some letters.
    """
    content, first, last = text
    end, word, before = np.uint64(found), _FNV_OFFSET, _NO
    for place in range(np.uint64(first), np.uint64(last)):
        sign = np.uint64(folded[content[place]])
        inside = np.uint64(sign != _NO)
        hashes[end] = word
        end += before & (inside ^ _YES)
        before = inside
        longer = (word ^ sign) * _FNV_PRIME
        word = longer if inside else _FNV_OFFSET
    hashes[end] = word
    return np.int64(end + before)


@compiled_inner
def _scan_any(
    text: tuple[NDArray[np.uint8], int, int], folded: NDArray[np.uint32], hashes: NDArray[np.uint64], found: int
) -> tuple[int, int]:
    """As `_scan_ascii`, for texts of any signs, whose number it gives too."""
    content, place, last = text
    word, inside, characters = _FNV_OFFSET, False, 0
    while place < last:
        code, size = _next_sign(content, place)
        place += size
        characters += 1
        sign = folded[code] if code < _TABLE_SIZE else np.uint32(code)
        if sign:
            word = (word ^ np.uint64(sign)) * _FNV_PRIME
            inside = True
        elif inside:
            hashes[found] = word
            found += 1
            word, inside = _FNV_OFFSET, False
    hashes[found] = word
    return found + inside, characters


@compiled_inner
def _keep_new(hashes: NDArray[np.uint64], first: int, last: int, limit: _Filter, found: int) -> int:
    """Mixes hashes and moves those below the bound to the ones found before, most repetitions left out."""
    bound, recent = limit
    for place in range(first, last):
        value = _mixed(hashes[place])
        slot = np.int64(value & np.uint64(len(recent) - 1))
        if value < bound and recent[slot] != value:
            recent[slot] = value
            hashes[found] = value
            found += 1
    return found


@compiled
def _scan(source: _Source, limit: _Filter, result: _Result) -> int:
    """Fills sizes by row and hashes below the bound, most repetitions left out; answers how many hashes."""
    content, offsets, folded = source
    characters, words, hashes = result
    found = 0
    for row in range(len(offsets) - 1):
        first, last = offsets[row], offsets[row + 1]
        if _is_ascii(content, first, last):
            end, characters[row] = _scan_ascii((content, first, last), folded, hashes, found), last - first
        else:
            end, characters[row] = _scan_any((content, first, last), folded, hashes, found)
        words[row] = end - found
        found = _keep_new(hashes, found, end, limit, found)
    return found


@compiled_inner
def _next_word(
    content: NDArray[np.uint8], folded: NDArray[np.uint32], place: int, end: int
) -> tuple[int, int, np.uint64]:
    """Where the next word begins and ends, equal places if there is none, and its hash."""
    first, value = place, _FNV_OFFSET
    while place < end:
        code, size = _next_sign(content, place)
        sign = folded[code] if code < _TABLE_SIZE else np.uint32(code)
        if sign:
            value = (value ^ np.uint64(sign)) * _FNV_PRIME
        elif place > first:
            break
        else:
            first = place + size
        place += size
    return first, place, _mixed(value)


@compiled
def _cut(source: _Source, places: NDArray[np.int32], hashes: NDArray[np.uint64]) -> int:
    content, offsets, folded = source
    found = 0
    for row in range(len(offsets) - 1):
        last, end = offsets[row], offsets[row + 1]
        while True:
            first, last, value = _next_word(content, folded, last, end)
            places[found, 0], places[found, 1], hashes[found] = first, last, value
            found += 1
            if first == last:
                break
    return found


@compiled
def _hash_rows(content: NDArray[np.uint8], offsets: NDArray[np.int64], hashes: NDArray[np.uint64]) -> None:
    for row in range(len(hashes)):
        value = _FNV_OFFSET
        for place in range(offsets[row], offsets[row + 1]):
            value = (value ^ np.uint64(content[place])) * _FNV_PRIME
        hashes[row] = _mixed(value)

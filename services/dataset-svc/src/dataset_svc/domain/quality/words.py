"""Words of texts: how many differ, which repeat, which are the small words of a language, what two texts share."""
# ruff: noqa: PLR1714 - membership tests make the compiled loops several times slower
# numpy's scalars are the integers of compiled loops:
# pyright: reportArgumentType=false, reportReturnType=false

from collections.abc import Iterable
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from loopwright.compiling import compiled, compiled_inner
from loopwright.toxicity.characters import CODE, DIGIT, FOREIGN, HANGUL, LOWER, NEWLINE, UPPER
from loopwright.toxicity.streams import Ints, Stream, stream_of

# columns of the counts of words
WORDS: Final = 0
DISTINCT: Final = 1
KOREAN_WORDS: Final = 2
KOREAN_ENDINGS: Final = 3
LATIN_WORDS: Final = 4
ENGLISH_FUNCTION: Final = 5
FOREIGN_FUNCTION: Final = 6
PLAIN_LATIN: Final = 7  # lower-case words of five letters and more
IMPLAUSIBLE_WORDS: Final = 8
WORD_CHARS: Final = 9
REPEATED_3: Final = 10  # characters of words that belong to a trigram seen before
REPEATED_5: Final = 11
REPEATED_LINE_CHARS: Final = 12
LINE_CHARS: Final = 13
WORD_COLUMNS: Final = 14

_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
_ONE = np.uint64(1)
_APOSTROPHE, _LETTER_S = 0x27, 0x73
_IS_ENGLISH, _IS_FOREIGN, _IS_KOREAN, _IS_LATIN, _HAS_ENDING = 1, 2, 4, 8, 16


class Words(NamedTuple):
    """Words in order; `marks` are bits, `stem` forgets particles and inflection."""

    text: NDArray[np.int32]
    key: NDArray[np.uint64]
    stem: NDArray[np.uint64]
    length: NDArray[np.int32]
    marks: NDArray[np.uint8]


class WordLists(NamedTuple):
    """Hash tables of English and of other languages' small words; syllables that end Korean words, and particles."""

    english: NDArray[np.uint64]
    foreign: NDArray[np.uint64]
    endings: NDArray[np.bool_]
    particles: NDArray[np.bool_]


@compiled_inner
def _slot(keys: NDArray[np.uint64], key: int) -> int:
    """Where a key is, or the empty slot where it would be; the table is never full and no key is 0."""
    mask = np.uint64(len(keys) - 1)
    mixed = key * _MULTIPLIER
    slot = (mixed ^ (mixed >> np.uint64(32))) & mask
    while keys[slot] != 0 and keys[slot] != key:
        slot = (slot + _ONE) & mask
    return np.int64(slot)


@compiled
def _hashes(stream: Stream) -> NDArray[np.uint64]:
    keys = np.empty(len(stream.starts) - 1, dtype=np.uint64)
    for text in range(len(keys)):
        keys[text] = _hash(stream.codes, stream.starts[text], stream.starts[text + 1])
    return keys


@compiled
def _fill(table: NDArray[np.uint64], keys: NDArray[np.uint64]) -> None:
    for key in keys:
        table[_slot(table, key)] = key


def table_of(words: Iterable[str]) -> NDArray[np.uint64]:
    """A hash table of words, at most a quarter full."""
    keys = _hashes(stream_of(sorted(set(words))))
    table = np.zeros(1 << (4 * len(keys)).bit_length(), dtype=np.uint64)
    _fill(table, keys)
    return table


@compiled
def words_of(stream: Stream, lists: WordLists) -> Words:
    """Runs of letters and digits, with apostrophes inside."""
    codes, classes = stream.codes, stream.classes
    room = len(codes) // 2 + len(stream.starts)
    texts, firsts, lengths = np.empty(room, np.int32), np.empty(room, np.int64), np.empty(room, np.int32)
    count = 0
    for text in range(len(stream.starts) - 1):
        first, end = -1, stream.starts[text + 1]
        for place in range(stream.starts[text], end):
            inside = HANGUL <= classes[place] <= FOREIGN
            if first >= 0 and codes[place] == _APOSTROPHE and place + 1 < end:
                inside = LOWER <= classes[place + 1] <= UPPER
            if inside and first < 0:
                first = place
            if first >= 0 and (not inside or place == end - 1):
                texts[count], firsts[count], lengths[count] = text, first, place + inside - first
                count, first = count + 1, -1
    return _read_words(stream, lists, (texts[:count].copy(), firsts[:count], lengths[:count].copy()))


@compiled
def _read_words(stream: Stream, lists: WordLists, spans: tuple[NDArray[np.int32], Ints, NDArray[np.int32]]) -> Words:
    texts, firsts, lengths = spans
    codes, classes = stream.codes, stream.classes
    keys, stems = np.empty(len(texts), np.uint64), np.empty(len(texts), np.uint64)
    marks = np.zeros(len(texts), np.uint8)
    for word in range(len(texts)):
        first, length = firsts[word], lengths[word]
        last = first + length - 1
        key, stem = np.uint64(0), length
        for place in range(first, last + 1):
            key = (key + np.uint64(codes[place]) + _ONE) * _MULTIPLIER
            key ^= key >> np.uint64(29)
        key |= _ONE
        if classes[last] == HANGUL:
            marks[word] = _IS_KOREAN | (_HAS_ENDING if lists.endings[codes[last]] else 0)
            stem = _korean_stem(classes, first, length, lists.particles[codes[last]])
        elif classes[first] == LOWER or classes[first] == UPPER:
            marks[word] = _IS_LATIN
            marks[word] |= _IS_ENGLISH if lists.english[_slot(lists.english, key)] != 0 else 0
            marks[word] |= _IS_FOREIGN if lists.foreign[_slot(lists.foreign, key)] != 0 else 0
            stem = 5 if length > 5 else length - (length > 3 and codes[last] == _LETTER_S)
        keys[word], stems[word] = key, key if stem == length else _hash(codes, first, first + stem)
    return Words(texts, keys, stems, lengths, marks)


@compiled_inner
def _korean_stem(classes: NDArray[np.uint8], first: int, length: int, particle: bool) -> int:  # noqa: FBT001 (numba)
    """Characters before particle and ending: two syllables of long words; the Latin letters of `GPU` before `에서`."""
    if classes[first] == HANGUL:
        return 1 if length == 2 and particle else min(length, 2)
    place = first
    while place < first + length and classes[place] != HANGUL:
        place += 1
    return min(place - first, 5)


@compiled_inner
def _hash(codes: NDArray[np.uint32], start: int, end: int) -> int:
    value = np.uint64(0)
    for place in range(start, end):
        value = (value + np.uint64(codes[place]) + _ONE) * _MULTIPLIER
        value ^= value >> np.uint64(29)
    return value | _ONE


@compiled
def count_words(stream: Stream, words: Words, implausible: NDArray[np.bool_]) -> Ints:
    """Counts of each text [texts, WORD_COLUMNS]."""
    rows = np.zeros((len(stream.starts) - 1, WORD_COLUMNS), dtype=np.int64)
    most, at = 1, 0
    bounds = np.zeros(len(rows) + 1, dtype=np.int64)
    for text in range(len(rows)):
        while at < len(words.text) and words.text[at] == text:
            at += 1
        bounds[text + 1] = at
        most = max(most, at - bounds[text])
    size = 4
    while size < 2 * most:
        size *= 2
    seen, owner = np.zeros(size, dtype=np.uint64), np.full(size, -1, dtype=np.int64)
    for text in range(len(rows)):
        _count_marks(words, bounds[text], bounds[text + 1], rows[text])
        rows[text, DISTINCT] = _distinct(words, bounds[text], bounds[text + 1], (seen, owner, text * 3))
        if rows[text, WORDS] - rows[text, DISTINCT] >= 3:
            rows[text, REPEATED_3] = _repeated(words, bounds[text], bounds[text + 1], (seen, owner, text * 3 + 1, 3))
        if rows[text, REPEATED_3]:  # else no longer one repeats
            rows[text, REPEATED_5] = _repeated(words, bounds[text], bounds[text + 1], (seen, owner, text * 3 + 2, 5))
        _count_plain_words(stream, text, (rows[text], implausible))
    return rows


@compiled_inner
def _count_marks(words: Words, start: int, end: int, row: Ints) -> None:
    row[WORDS] = end - start
    for place in range(start, end):
        marks = words.marks[place]
        row[KOREAN_WORDS] += (marks & _IS_KOREAN) != 0
        row[KOREAN_ENDINGS] += (marks & _HAS_ENDING) != 0
        row[LATIN_WORDS] += (marks & _IS_LATIN) != 0
        row[ENGLISH_FUNCTION] += (marks & _IS_ENGLISH) != 0
        row[FOREIGN_FUNCTION] += (marks & _IS_FOREIGN) != 0
        row[WORD_CHARS] += words.length[place]


@compiled_inner
def _is_new(table: tuple[NDArray[np.uint64], Ints, int], key: int) -> bool:
    """Whether this owner has not shown the key before; entries of earlier owners count as empty."""
    keys, owner, mine = table
    mask = np.uint64(len(keys) - 1)
    mixed = key * _MULTIPLIER
    slot = (mixed ^ (mixed >> np.uint64(32))) & mask
    while owner[slot] == mine and keys[slot] != key:
        slot = (slot + _ONE) & mask
    new = owner[slot] != mine
    keys[slot], owner[slot] = key, mine
    return new


@compiled_inner
def _distinct(words: Words, start: int, end: int, table: tuple[NDArray[np.uint64], Ints, int]) -> int:
    count = 0
    for place in range(start, end):
        count += _is_new(table, words.key[place])
    return count


@compiled_inner
def _repeated(words: Words, start: int, end: int, table: tuple[NDArray[np.uint64], Ints, int, int]) -> int:
    """Characters of words that lie in an n-gram seen before in the text, each counted once."""
    keys, owner, mine, grams = table
    repeated, covered = 0, start
    for place in range(start, end - grams + 1):
        value = np.uint64(0)
        for offset in range(grams):
            value = (value + words.key[place + offset]) * _MULTIPLIER
            value ^= value >> np.uint64(31)
        if not _is_new((keys, owner, mine), value):
            for word in range(max(covered, place), place + grams):
                repeated += words.length[word]
            covered = place + grams
    return repeated


@compiled_inner
def _count_plain_words(stream: Stream, text: int, into: tuple[Ints, NDArray[np.bool_]]) -> None:
    """Counts lower-case Latin words of five letters and more, and those that English hardly holds."""
    row, implausible = into
    start, end = stream.starts[text], stream.starts[text + 1]
    place = start
    while place < end:
        first = place
        while place < end and 0x61 <= stream.codes[place] <= 0x7A and stream.classes[place] == LOWER:
            place += 1
        length = place - first
        alone = first == start or not (
            stream.classes[first - 1] == DIGIT
            or stream.classes[first - 1] == UPPER
            or stream.classes[first - 1] == CODE
        )
        if length >= 5 and alone:
            row[PLAIN_LATIN] += 1
            row[IMPLAUSIBLE_WORDS] += _is_implausible(stream.codes, first, place, implausible)
        place += length == 0


@compiled_inner
def _is_implausible(codes: NDArray[np.uint32], first: int, end: int, pairs: NDArray[np.bool_]) -> bool:
    odd, vowels, consonants, longest = 0, 0, 0, 0
    for place in range(first, end):
        code = codes[place]
        vowel = code == 0x61 or code == 0x65 or code == 0x69 or code == 0x6F or code == 0x75 or code == 0x79
        vowels += vowel
        consonants = 0 if vowel else consonants + 1
        longest = max(longest, consonants)
        if place > first:
            odd += pairs[codes[place - 1] - 0x61, code - 0x61]
    return odd >= 2 or longest >= 6 or (odd == 1 and vowels * 5 < end - first)


@compiled
def count_lines(stream: Stream, rows: Ints) -> None:
    """Adds characters of lines, and of lines seen before in their text; lines below ten characters do not count."""
    classes, starts = stream.classes, stream.starts
    lines, most = np.ones(len(rows), dtype=np.int64), 1
    for text in range(len(rows)):
        for place in range(starts[text], starts[text + 1]):
            lines[text] += classes[place] == NEWLINE
        most = max(most, lines[text])
    size = 4
    while size < 2 * most:
        size *= 2
    table = (np.zeros(size, dtype=np.uint64), np.full(size, -1, dtype=np.int64))
    for text in range(len(rows)):
        if lines[text] > 2:
            _count_lines_of(stream, text, rows[text], table)


@compiled_inner
def _count_lines_of(stream: Stream, text: int, row: Ints, table: tuple[NDArray[np.uint64], Ints]) -> None:
    first, end = stream.starts[text], stream.starts[text + 1]
    for place in range(first, end):
        if stream.classes[place] == NEWLINE or place == end - 1:
            length = place - first + (stream.classes[place] != NEWLINE)
            if length >= 10:
                row[LINE_CHARS] += length
                new = _is_new((table[0], table[1], text), _hash(stream.codes, first, first + length))
                row[REPEATED_LINE_CHARS] += 0 if new else length
            first = place + 1


@compiled
def overlaps(words: Words, pairs: int) -> Ints:
    """For texts 2i (question) and 2i + 1 (answer): distinct content stems of each, and of both [pairs, 3]."""
    rows = np.zeros((pairs, 3), dtype=np.int64)
    most, run = 1, 0
    for place in range(len(words.text)):
        run = run + 1 if place > 0 and words.text[place] // 2 == words.text[place - 1] // 2 else 1
        most = max(most, run)
    size = 4
    while size < 2 * most:
        size *= 2
    tables = (
        np.zeros(size, np.uint64),
        np.full(size, -1, np.int64),
        np.zeros(size, np.uint64),
        np.full(size, -1, np.int64),
    )
    for place in range(len(words.text)):
        if (words.marks[place] & (_IS_ENGLISH | _IS_FOREIGN)) != 0 or (
            words.marks[place] == _IS_LATIN and words.length[place] < 2
        ):
            continue
        pair, stem = words.text[place] // 2, words.stem[place]
        if words.text[place] % 2 == 0:
            rows[pair, 0] += _is_new((tables[0], tables[1], pair), stem)
        elif _is_new((tables[2], tables[3], pair), stem):
            rows[pair, 1] += 1
            rows[pair, 2] += not _is_new((tables[0], tables[1], pair), stem)
    return rows

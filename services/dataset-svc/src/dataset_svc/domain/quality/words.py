"""Words of texts: how many differ, which repeat, which are the small words of a language, what two texts share.

Each text is read once. From sums over its characters, the hash of any run of them follows in two steps, so words, stems
and lines are hashed without another look at their characters.
"""
# ruff: noqa: PLR1714, SIM109 - membership tests make the compiled loops several times slower
# numpy's scalars are the integers of compiled loops:
# pyright: reportArgumentType=false, reportReturnType=false

from collections.abc import Iterable
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from loopwright.compiling import compiled, compiled_inner
from loopwright.toxicity.characters import CODE, DIGIT, FOREIGN, HANGUL, LOWER, NEWLINE, UPPER
from loopwright.toxicity.streams import Classes, Codes, Ints, Stream, stream_of

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
_ONE, _HALF = np.uint64(1), np.uint64(32)
_APOSTROPHE, _LETTER_S = 0x27, 0x73
_ENGLISH, _FOREIGN = 1, 2
_FEWEST_LINE_CHARS: Final = 10
_FEWEST_PLAIN: Final = 5
_VOWELS = np.uint32(sum(1 << ord(letter) - ord("a") for letter in "aeiouy"))
_NO_HEAP = (1 << 6) - 1  # six consonants in a row are a heap
Hashes = NDArray[np.uint64]


class WordLists(NamedTuple):
    """Small words of English and of other languages; syllables that end Korean words, and particles.

    Attributes:
        small: A hash table of small words.
        marks: Bits that tell whose word each slot of it holds.
    """

    small: Hashes
    marks: NDArray[np.uint8]
    endings: NDArray[np.bool_]
    particles: NDArray[np.bool_]


class _Sheet(NamedTuple):
    """What is noted of one text, one after the other; all places count from the start of the text.

    Attributes:
        sums: Of the characters before each place, for hashes.
        powers: Of the multiplier; they take out of a sum what lies before a run.
        bounds: Where each word begins, and where it is over.
        breaks: Where each line ends.
        keys: Hash of each word.
        lengths: Characters of each word.
        stems: Hashes of the words that carry content, without particles and inflection.
        seen: A hash table.
        asked: Another one, of the question's stems.
    """

    sums: Hashes
    powers: Hashes
    bounds: NDArray[np.uint32]
    breaks: NDArray[np.uint32]
    keys: Hashes
    lengths: NDArray[np.uint32]
    stems: Hashes
    seen: Hashes
    asked: Hashes


def lists_of(
    english: Iterable[str], foreign: Iterable[str], *, endings: NDArray[np.bool_], particles: NDArray[np.bool_]
) -> WordLists:
    words = sorted(set(english) | set(foreign))
    marks_of = dict.fromkeys(english, _ENGLISH)
    for word in foreign:
        marks_of[word] = marks_of.get(word, 0) | _FOREIGN
    size = 1 << (4 * len(words)).bit_length()
    small, marks = np.zeros(size, dtype=np.uint64), np.zeros(size, dtype=np.uint8)
    marks[_put_all(stream_of(words), small)] = [marks_of[word] for word in words]
    return WordLists(small, marks, endings, particles)


@compiled
def _put_all(stream: Stream, table: Hashes) -> Ints:
    """Puts each text into a table of hashes; gives their slots."""
    sheet, inside = _sheet_for(stream), _insides(stream)
    slots = np.empty(len(stream.starts) - 1, dtype=np.int64)
    for text in range(len(slots)):
        start, end = stream.starts[text], stream.starts[text + 1] - 1
        _read(stream.codes, start, end, (sheet, inside))
        key = _hash_of(sheet, 0, end - start)
        slot = _slot(table, len(table), key)
        table[slot], slots[text] = key, slot
    return slots


@compiled
def count_words(stream: Stream, lists: WordLists, implausible: NDArray[np.bool_]) -> tuple[Ints, Ints]:
    """Counts of each text [texts, WORD_COLUMNS]; and what pairs of texts share.

    For texts 2i (question) and 2i + 1 (answer): distinct content stems of each, and of both [pairs, 3].
    """
    texts = len(stream.starts) - 1
    rows, shared = np.zeros((texts, WORD_COLUMNS), np.int64), np.zeros(((texts + 1) // 2, 3), np.int64)
    sheet, inside = _sheet_for(stream), _insides(stream)
    asked = 0
    for text in range(texts):
        start, end = stream.starts[text], stream.starts[text + 1] - 1
        row = rows[text]
        words = _read(stream.codes, start, end, (sheet, inside))
        stems = _read_words(stream, start, words, (sheet, lists, row))
        _count_repeats(sheet, words, row)
        _count_plain_words(stream, start, words, (sheet, row, implausible))
        breaks = _read_lines(stream.classes, start, end, sheet)
        if breaks > 2:
            _count_lines(sheet, breaks, row)
        if text % 2 == 0:
            asked = _size_for(stems)
            shared[text // 2, 0] = _put_new(sheet.asked, asked, sheet.stems, stems)
        else:
            _compare(sheet, stems, asked, shared[text // 2])
    return rows, shared


@compiled
def _sheet_for(stream: Stream) -> _Sheet:
    longest = 1
    for text in range(len(stream.starts) - 1):
        longest = max(longest, stream.starts[text + 1] - stream.starts[text])
    places, words = longest + 2, longest // 2 + 2
    powers = np.ones(places, np.uint64)
    for place in range(1, places):
        powers[place] = powers[place - 1] * _MULTIPLIER
    return _Sheet(
        np.zeros(places, np.uint64),
        powers,
        np.empty(places, np.uint32),
        np.empty(places, np.uint32),
        np.empty(words, np.uint64),
        np.empty(words, np.uint32),
        np.empty(words, np.uint64),
        np.empty(_size_for(words), np.uint64),
        np.empty(_size_for(words), np.uint64),
    )


@compiled
def _size_for(entries: int) -> int:
    """Slots of a table that so many entries fill to a quarter at most: hardly two of them want the same."""
    size = 4
    while size < 4 * entries:
        size *= 2
    return size


@compiled
def _insides(stream: Stream) -> NDArray[np.uint8]:
    """Whether each place lies inside a word: a run of letters and digits, with apostrophes before Latin letters."""
    codes, classes = stream.codes, stream.classes
    insides = np.zeros(len(codes), np.uint8)
    for before in range(len(codes) - 2):
        letter = (classes[before + 1] >= HANGUL) & (classes[before + 1] <= FOREIGN)
        follows = (classes[before] >= HANGUL) & (classes[before] <= FOREIGN)
        joins = (codes[before + 1] == _APOSTROPHE) & (classes[before + 2] >= LOWER) & (classes[before + 2] <= UPPER)
        insides[before + 1] = np.uint8(letter | (joins & follows))
    return insides


@compiled_inner
def _read(codes: Codes, start: int, end: int, into: tuple[_Sheet, NDArray[np.uint8]]) -> int:
    """Notes sums and bounds of words of one text; gives how many words they are.

    A bound is written at every place and only kept by a step of the count, for a branch at every bound costs more.
    """
    sheet, inside = into
    value, before, bounds = np.uint64(0), np.uint8(0), np.uint64(0)
    for place in range(start, end + 1):
        at = np.uint64(place - start)
        sheet.sums[at], sheet.bounds[bounds] = value, at
        value = value * _MULTIPLIER + (np.uint64(codes[np.uint64(place)]) + _ONE)
        bounds += np.uint64(inside[np.uint64(place)] ^ before)
        before = inside[np.uint64(place)]
    return np.int64(bounds) // 2


@compiled_inner
def _read_lines(classes: Classes, start: int, end: int, sheet: _Sheet) -> int:
    """Notes where the lines of one text end; gives how many they are."""
    some = 0
    for place in range(start, end):
        some += classes[np.uint64(place)] == NEWLINE
    if some > 1:
        breaks = np.uint64(0)
        for place in range(start, end):
            sheet.breaks[breaks] = place - start
            breaks += np.uint64(classes[np.uint64(place)] == NEWLINE)
        sheet.breaks[breaks] = end - start
    return some + 1


@compiled_inner
def _hash_of(sheet: _Sheet, first: int, end: int) -> int:
    """Of the characters from one place to another; 0, which marks empty slots, is as unlikely as any other number."""
    return sheet.sums[np.uint64(end)] - sheet.sums[np.uint64(first)] * sheet.powers[np.uint64(end - first)]


@compiled_inner
def _slot(table: Hashes, size: int, key: int) -> int:
    """Where a key is, or the empty slot where it would be; the table is never full."""
    mask = np.uint64(size - 1)
    mixed = key * _MULTIPLIER
    slot = (mixed ^ (mixed >> _HALF)) & mask
    while (table[slot] != 0) & (table[slot] != key):  # one branch, for nobody can foresee which of them ends it
        slot = (slot + _ONE) & mask
    return slot


@compiled_inner
def _read_words(stream: Stream, start: int, words: int, into: tuple[_Sheet, WordLists, Ints]) -> int:
    """Notes hash, length and stem of each word, counts what kinds of words they are; gives how many carry content."""
    sheet, lists, row = into
    chars, korean, endings, latin, english, foreign, stems = 0, 0, 0, 0, 0, 0, 0
    for word in range(words):
        first, end = np.int64(sheet.bounds[2 * word]), np.int64(sheet.bounds[2 * word + 1])
        length = end - first
        key = _hash_of(sheet, first, end)
        opening, closing = stream.classes[np.uint64(start + first)], stream.classes[np.uint64(start + end - 1)]
        last = stream.codes[np.uint64(start + end - 1)]
        stem, content = length, True
        if closing == HANGUL:
            korean += 1
            endings += lists.endings[last]
            stem = _korean_stem(stream.classes, start + first, length, lists.particles[last])
        elif opening == LOWER or opening == UPPER:
            latin += 1
            marks = lists.marks[_slot(lists.small, len(lists.small), key)]
            english += marks & _ENGLISH
            foreign += marks >> 1
            content = (marks == 0) & (length > 1)
            stem = min(length - ((length > 3) & (last == _LETTER_S)), 5)
        sheet.keys[word], sheet.lengths[word] = key, length
        sheet.stems[stems] = _hash_of(sheet, first, first + stem)
        stems += content
        chars += length
    row[WORDS], row[WORD_CHARS] = words, chars
    row[KOREAN_WORDS], row[KOREAN_ENDINGS] = korean, endings
    row[LATIN_WORDS], row[ENGLISH_FUNCTION], row[FOREIGN_FUNCTION] = latin, english, foreign
    return stems


@compiled_inner
def _korean_stem(classes: Classes, first: int, length: int, particle: bool) -> int:  # noqa: FBT001 (numba)
    """Characters before particle and ending: two syllables of long words; the Latin letters of `GPU` before `에서`."""
    if classes[first] == HANGUL:
        return min(length, 2) - ((length == 2) & particle)
    place = first
    while place < first + length and classes[place] != HANGUL:
        place += 1
    return min(place - first, 5)


@compiled_inner
def _clear(table: Hashes, size: int) -> None:
    for slot in range(size):
        table[slot] = 0


@compiled_inner
def _put_new(table: Hashes, size: int, keys: Hashes, count: int) -> int:
    """Fills an empty table with keys; gives how many differ."""
    _clear(table, size)
    new = 0
    for place in range(count):
        slot = _slot(table, size, keys[place])
        new += table[slot] == 0
        table[slot] = keys[place]
    return new


@compiled_inner
def _compare(sheet: _Sheet, stems: int, asked: int, row: Ints) -> None:
    """Counts the distinct stems of an answer, and those of them that its question holds."""
    size, new, both = _size_for(stems), 0, 0
    _clear(sheet.seen, size)
    for place in range(stems):
        stem = sheet.stems[place]
        slot = _slot(sheet.seen, size, stem)
        first = sheet.seen[slot] == 0
        sheet.seen[slot] = stem
        new += first
        both += first & (sheet.asked[_slot(sheet.asked, asked, stem)] != 0)
    row[1], row[2] = new, both


@compiled_inner
def _count_repeats(sheet: _Sheet, words: int, row: Ints) -> None:
    """Counts distinct words, and characters in phrases that were there before: those of words that all were before."""
    size, distinct, streak, longest = _size_for(words), 0, 0, 0
    _clear(sheet.seen, size)
    for word in range(words):
        slot = _slot(sheet.seen, size, sheet.keys[word])
        new = sheet.seen[slot] == 0
        sheet.seen[slot] = sheet.keys[word]
        distinct += new
        streak = 0 if new else streak + 1
        longest = max(longest, streak)
    row[DISTINCT] = distinct
    if longest >= 3:
        row[REPEATED_3] = _repeated(sheet, words, size, 3)
    if longest >= 5 and row[REPEATED_3]:  # else no longer one repeats
        row[REPEATED_5] = _repeated(sheet, words, size, 5)


@compiled_inner
def _repeated(sheet: _Sheet, words: int, size: int, grams: int) -> int:
    """Characters of words that lie in an n-gram seen before in the text, each counted once."""
    _clear(sheet.seen, size)
    repeated, covered = 0, 0
    for place in range(words - grams + 1):
        value = np.uint64(0)
        for offset in range(grams):
            value = (value + sheet.keys[place + offset]) * _MULTIPLIER
            value ^= value >> np.uint64(31)
        value |= _ONE
        slot = _slot(sheet.seen, size, value)
        if sheet.seen[slot] == 0:
            sheet.seen[slot] = value
            continue
        for word in range(max(covered, place), place + grams):
            repeated += sheet.lengths[word]
        covered = place + grams
    return repeated


@compiled_inner
def _count_plain_words(stream: Stream, start: int, words: int, into: tuple[_Sheet, Ints, NDArray[np.bool_]]) -> None:
    """Counts lower-case Latin words of five letters and more, and those that English hardly holds.

    A word of this kind may be a part of one: of `don't`, or what follows Korean letters; not what follows a digit, a
    capital or a sign of code.
    """
    sheet, row, implausible = into
    for word in range(words):
        if sheet.lengths[word] < _FEWEST_PLAIN:
            continue
        place, end = start + np.int64(sheet.bounds[2 * word]), start + np.int64(sheet.bounds[2 * word + 1])
        while place + _FEWEST_PLAIN <= end:
            length, odd = _plain_run(stream, place, end, implausible)
            if length >= _FEWEST_PLAIN and _stands_alone(stream.classes[np.uint64(place - 1)]):
                row[PLAIN_LATIN] += 1
                row[IMPLAUSIBLE_WORDS] += odd
            place += length + 1


@compiled_inner
def _stands_alone(before: int) -> bool:
    return before != DIGIT and before != UPPER and before != CODE


@compiled_inner
def _plain_run(stream: Stream, first: int, end: int, pairs: NDArray[np.bool_]) -> tuple[int, bool]:
    """How many plain letters follow one another from here, and whether English hardly holds a word of them."""
    odd, vowels, heap, before = 0, np.uint32(0), False, np.uint64(26)  # behind the last letter
    sounds = np.uint32(_NO_HEAP)  # the last letters, a bit each: whether it is a vowel
    place = first
    while place < end:
        at = np.uint64(place)
        letter = np.uint64(stream.codes[at]) - np.uint64(0x61)
        if letter >= np.uint64(26) or stream.classes[at] != LOWER:
            break
        vowel = (_VOWELS >> np.uint32(letter)) & np.uint32(1)
        sounds = np.uint32((sounds << np.uint32(1)) | vowel)
        heap |= (sounds & np.uint32(_NO_HEAP)) == 0
        vowels += vowel
        odd += pairs[before, letter]
        before = letter
        place += 1
    length = place - first
    return length, odd >= 2 or heap or (odd == 1 and np.int64(vowels) * 5 < length)


@compiled_inner
def _count_lines(sheet: _Sheet, breaks: int, row: Ints) -> None:
    """Counts characters of lines, and of lines seen before in their text; lines below ten characters do not count."""
    chars = np.int64(sheet.breaks[breaks - 1])
    size, first = _size_for(min(breaks, chars // _FEWEST_LINE_CHARS + 1)), 0
    _clear(sheet.seen, size)
    for line in range(breaks):
        end = np.int64(sheet.breaks[line])
        length = end - first
        if length >= _FEWEST_LINE_CHARS:
            key = _hash_of(sheet, first, end)
            slot = _slot(sheet.seen, size, key)
            row[LINE_CHARS] += length
            row[REPEATED_LINE_CHARS] += 0 if sheet.seen[slot] == 0 else length
            sheet.seen[slot] = key
        first = end + 1

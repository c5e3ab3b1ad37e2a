# numba types scalars by itself; what numpy's stubs make of their arithmetic is wrong for compiled code
# pyright: reportArgumentType=false, reportReturnType=false, reportAssignmentType=false, reportGeneralTypeIssues=false
"""Compiled inner loops of the search for duplicates: texts to grams, grams to MinHash, band keys to buckets, pairs to Jaccard.

They hold no GIL, so threads share the cores. All of them live in this one file because numba's cache on disk notices
changes of a function's own file only.
"""

from typing import Final

import numpy as np
from datasketch import MinHash
from numpy.typing import NDArray

from dataset_svc.domain.likeness.buffers import Affine, Dialogues, Groups, Limits, Scratch, Side, Texts
from loopwright.compiling import compiled, compiled_inner

PERMUTATIONS: Final = 128
GRAM_CHARS: Final = 5
GRAM_WORDS: Final = 3
NOBODY: Final = -1

_BASE = np.uint64(0x9E3779B97F4A7C15)
_MIX_1, _MIX_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_FMIX_1, _FMIX_2 = np.uint32(0x85EBCA6B), np.uint32(0xC2B2AE35)
_LAST = np.uint32(0xFFFFFFFF)
_SPACE = np.uint32(0x20)
# code points that composition and case folding leave alone whatever inert ones stand beside them, and that are no space
INERT_RANGES: Final = (
    (0xAC00, 0xD7A3),  # Hangul syllables
    (0x4E00, 0x9FFF),  # Han
    (0x2010, 0x2027),  # dashes, quotation marks, bullets, ellipsis
    (0x2030, 0x205E),
    (0x3001, 0x3020),  # brackets and stops of East Asia
    (0x3131, 0x318E),  # single letters of Hangul
    (0x3041, 0x3096),  # Hiragana
    (0x30A1, 0x30FA),  # Katakana
    (0xFF01, 0xFF20),  # full-width signs and digits
    (0x20A0, 0x20BF),  # currencies
    (0x2190, 0x22FF),  # arrows and operators
    (0x2460, 0x249B),  # circled digits
    (0x2500, 0x27BF),  # boxes and signs
    (0x1F300, 0x1FAFF),  # pictures
)


def affine() -> Affine:
    """The permutations of `datasketch.MinHash(num_perm=128, scheme="affine32")`."""
    factors, shifts = MinHash(num_perm=PERMUTATIONS, scheme="affine32").permutations
    return Affine(factors=np.asarray(factors, dtype=np.uint32), shifts=np.asarray(shifts, dtype=np.uint32))


@compiled
def is_inert(code: int) -> bool:
    """Whether a code point beyond ASCII is its own composed, case-folded form in any inert neighbourhood."""
    for low, high in INERT_RANGES:  # noqa: SIM110 (numba compiles no generator expressions)
        if low <= code <= high:
            return True
    return False


@compiled
def mark_unplain(texts: Texts, marks: NDArray[np.bool_]) -> None:
    """Marks the texts with a character that the ASCII rules of `read_codes` would get wrong."""
    for row in range(len(marks)):
        place, stop = texts.starts[row], texts.stops[row]
        while place < stop and not marks[row]:
            byte = texts.content[place]
            if byte < 0x80:
                place += 1
            elif 0xE5 <= byte <= 0xE9 or 0xEB <= byte <= 0xEC:  # all of U+5000-9FFF and U+B000-CFFF is inert
                place += 3
            else:
                code = _lead(byte)
                place += 1
                while place < stop and (texts.content[place] & 0xC0) == 0x80:
                    code = (code << np.uint32(6)) | np.uint32(texts.content[place] & 0x3F)
                    place += 1
                marks[row] = not is_inert(code)


@compiled
def _lead(byte: int) -> int:
    """What the first byte of a UTF-8 sequence says of its code point."""
    if byte < 0xE0:
        return np.uint32(byte & 0x1F)
    if byte < 0xF0:
        return np.uint32(byte & 0x0F)
    return np.uint32(byte & 0x07)


@compiled_inner
def read_codes(texts: Texts, row: int, codes: NDArray[np.uint32]) -> int:
    """Code points with ASCII in lower case and runs of white space and NUL as one space; returns how many."""
    count = 0
    for place in range(texts.starts[row], texts.stops[row]):
        byte = np.uint32(texts.content[place])
        if byte >= 0xC0:
            codes[count] = _lead(byte)
            count += 1
        elif byte >= 0x80:
            if count:  # bytes that are no UTF-8 mean nothing, but stay within bounds
                codes[count - 1] = (codes[count - 1] << np.uint32(6)) | (byte & np.uint32(0x3F))
        elif byte > 0x20 or 0x00 < byte < 0x09 or 0x0D < byte < 0x1C:
            codes[count] = byte + _SPACE if 0x41 <= byte <= 0x5A else byte
            count += 1
        elif count and codes[count - 1] != _SPACE:
            codes[count] = _SPACE
            count += 1
    return count - 1 if count and codes[count - 1] == _SPACE else count


@compiled
def mixed(value: int) -> int:
    """Finaliser of splitmix64 (Steele et al. 2014), so that the low 32 bits are fit for MinHash."""
    value = np.uint64(value)
    value = (value ^ (value >> np.uint64(30))) * _MIX_1
    value = (value ^ (value >> np.uint64(27))) * _MIX_2
    return value ^ (value >> np.uint64(31))


@compiled_inner
def five_grams(codes: NDArray[np.uint32], count: int, grams: NDArray[np.uint64]) -> int:
    """What `char_grams` gives for five, in a form that the compiler makes vector instructions of."""
    for place in range(count - GRAM_CHARS + 1):
        value = np.uint64(0)
        for step in range(GRAM_CHARS):
            value = value * _BASE + np.uint64(codes[place + step]) + np.uint64(1)
        grams[place] = mixed(value)
    return count - GRAM_CHARS + 1


@compiled_inner
def char_grams(codes: NDArray[np.uint32], count: int, width: int, grams: NDArray[np.uint64]) -> int:
    """Rolling hashes (Karp and Rabin 1987) of n-grams of code points; a shorter text is one gram. Returns how many."""
    value, leaving = np.uint64(0), np.uint64(1)
    for place in range(min(width, count)):
        value = value * _BASE + np.uint64(codes[place]) + np.uint64(1)
        leaving *= _BASE
    grams[0] = mixed(value)
    for place in range(width, count):
        value = value * _BASE + np.uint64(codes[place]) + np.uint64(1)
        value -= leaving * (np.uint64(codes[place - width]) + np.uint64(1))
        grams[place - width + 1] = mixed(value)
    return max(1, count - width + 1)


@compiled_inner
def read_words(codes: NDArray[np.uint32], count: int, words: NDArray[np.uint64]) -> int:
    """Hashes of the words between spaces; returns how many."""
    total, value = 0, np.uint64(0)
    for place in range(count):
        if codes[place] == _SPACE:
            words[total] = mixed(value)
            total, value = total + 1, np.uint64(0)
        else:
            value = value * _BASE + np.uint64(codes[place]) + np.uint64(1)
    if count:
        words[total] = mixed(value)
        total += 1
    return total


@compiled_inner
def word_grams(words: NDArray[np.uint64], count: int, width: int, grams: NDArray[np.uint64]) -> int:
    """Hashes of n-grams of words; a shorter text is one gram. Returns how many."""
    total = max(1, count - width + 1)
    for place in range(total):
        value = np.uint64(0)
        for step in range(place, min(place + width, count)):
            value = value * _BASE + words[step]
        grams[place] = mixed(value)
    return total


@compiled_inner
def read_grams(texts: Texts, row: int, width: int, scratch: Scratch) -> int:
    """Grams of one text into `scratch.grams`: of `width` words, or of `-width` characters."""
    count = read_codes(texts, row, scratch.codes)
    if width > 0:
        return word_grams(scratch.words, read_words(scratch.codes, count, scratch.words), width, scratch.grams)
    if width == -GRAM_CHARS and count >= GRAM_CHARS:
        return five_grams(scratch.codes, count, scratch.grams)
    return char_grams(scratch.codes, count, -width, scratch.grams)


@compiled
def list_grams(texts: Texts, width: int, grams: NDArray[np.uint64], ends: NDArray[np.int64]) -> int:
    """Grams of all texts one after another; those of text i end at `ends[i]`. Returns how many.

    Texts shorter than one gram have none here.
    """
    scratch, total = scratch_for(texts, 0, len(ends)), 0
    for row in range(len(ends)):
        count = read_codes(texts, row, scratch.codes)
        units = read_words(scratch.codes, count, scratch.words) if width > 0 else count
        if units >= abs(width):
            if width > 0:
                total += word_grams(scratch.words, units, width, grams[total:])
            else:
                total += char_grams(scratch.codes, units, -width, grams[total:])
        ends[row] = total
    return total


@compiled
def hash_whole(texts: Texts, hashes: NDArray[np.uint64]) -> None:
    """One hash per text; texts that differ in case and spacing only have the same."""
    scratch = scratch_for(texts, 0, len(hashes))
    for row in range(len(hashes)):
        count = read_codes(texts, row, scratch.codes)
        value = np.uint64(count)
        for place in range(count):
            value = value * _BASE + np.uint64(scratch.codes[place]) + np.uint64(1)
        hashes[row] = mixed(value)


@compiled
def jaccards(side: Side, ones: NDArray[np.int64], others: NDArray[np.int64], found: NDArray[np.float64]) -> None:
    """The true Jaccard index of each pair of texts."""
    for pair in range(len(ones)):
        found[pair] = jaccard_of(side, ones[pair], others[pair])


@compiled
def scratch_for(texts: Texts, first: int, stop: int) -> Scratch:
    longest = 1
    for row in range(first, stop):
        longest = max(longest, texts.stops[row] - texts.starts[row])
    room = longest + 1
    return Scratch(
        np.empty(room, np.uint32), np.empty(room, np.uint64), np.empty(room, np.uint64), np.empty(room, np.uint32)
    )


@compiled_inner
def fold_minima(scratch: Scratch, count: int, permutations: Affine, minima: NDArray[np.uint32]) -> None:
    """The MinHash [128] of the grams: finaliser of MurmurHash3, then the least value under each permutation."""
    hashes = scratch.hashes
    for place in range(count):
        value = np.uint32(scratch.grams[place] & np.uint64(0xFFFFFFFF))
        value = np.uint32((value ^ (value >> np.uint32(16))) * _FMIX_1)
        value = np.uint32((value ^ (value >> np.uint32(13))) * _FMIX_2)
        hashes[place] = value ^ (value >> np.uint32(16))
    for number in range(PERMUTATIONS):
        factor, shift, least = permutations.factors[number], permutations.shifts[number], _LAST
        for place in range(count):
            least = min(least, np.uint32(factor * hashes[place] + shift))
        minima[number] = least


@compiled
def sign(texts: Texts, width: int, permutations: Affine, first: int, signatures: NDArray[np.uint32]) -> None:
    """MinHash of texts `first` and following, as many as `signatures` [rows, 128] has rows."""
    scratch = scratch_for(texts, first, first + len(signatures))
    for row in range(len(signatures)):
        count = read_grams(texts, first + row, width, scratch)
        fold_minima(scratch, count, permutations, signatures[row])


@compiled
def band_keys(signatures: NDArray[np.uint32], rows: int, keys: NDArray[np.uint32]) -> None:
    """One 32-bit key per band of `rows` minima, into `keys` [bands, texts]."""
    for text in range(len(signatures)):
        for band in range(len(keys)):
            value = np.uint64(band)
            for place in range(band * rows, band * rows + rows):
                value = (value ^ np.uint64(signatures[text, place])) * _MIX_1
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
        slot = np.uint64(keys[place]) * _BASE >> np.uint64(32) & mask
        while table[slot] != NOBODY and keys[table[slot]] != keys[place]:
            slot = (slot + np.uint64(1)) & mask
        links[place] = table[slot]
        table[slot] = place


@compiled_inner
def root_of(parents: NDArray[np.int32], place: int) -> int:
    while parents[place] != place:
        parents[place] = parents[parents[place]]
        place = parents[place]
    return place


@compiled_inner
def _join(groups: Groups, one: int, other: int) -> None:
    first, second = root_of(groups.parents, one), root_of(groups.parents, other)
    groups.parents[max(first, second)] = min(first, second)


@compiled_inner
def matching(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> int:
    count = 0
    for place in range(PERMUTATIONS):
        count += one[place] == other[place]
    return count


@compiled
def _count_new(side: Side, mask: int, count: int, stamp: int) -> tuple[int, int]:
    """Puts the first grams of the scratch into the set; returns how many are new to this text and how many both have.

    The first text of a pair has the stamp s, the second one s + 1; what both have bears s + 2.
    """
    fresh, common = 0, 0
    for gram in side.scratch.grams[:count]:
        slot = (gram >> np.uint64(20)) & np.uint64(mask)
        while side.stamps[slot] >= stamp - 1 and side.grams[slot] != gram:
            slot = (slot + np.uint64(1)) & np.uint64(mask)
        written = side.stamps[slot]
        if written >= stamp:
            continue
        common += written == stamp - 1
        fresh += 1
        side.stamps[slot] = stamp + 1 if written == stamp - 1 else stamp
        side.grams[slot] = gram
    return fresh, common


@compiled
def jaccard_of(side: Side, one: int, other: int) -> float:
    """The true Jaccard index of the grams of two texts."""
    texts = side.texts
    longest = max(texts.stops[one] - texts.starts[one], texts.stops[other] - texts.starts[other])
    size = 16
    while size < 4 * longest and size < len(side.grams):
        size *= 2
    side.clock[0] += 4
    stamp = side.clock[0]
    first, _ = _count_new(side, size - 1, read_grams(texts, one, side.width, side.scratch), stamp)
    second, common = _count_new(side, size - 1, read_grams(texts, other, side.width, side.scratch), stamp + 1)
    return common / (first + second - common)


@compiled
def likeness_of(side: Side, one: int, other: int, limits: Limits) -> float:
    """Their Jaccard index, or -1 where the sketches already say that it is below the threshold."""
    same = matching(side.sketches[one], side.sketches[other])
    if same < limits.least_matching:
        return -1.0
    if limits.trust_sketches:
        return max(0.0, (same / PERMUTATIONS - 1 / 256) / (1 - 1 / 256))  # Li and Koenig 2010, 8 bits
    return jaccard_of(side, one, other)


@compiled_inner
def _note(groups: Groups, place: int, other: int, likeness: float) -> None:
    if groups.through[place] == NOBODY or likeness > groups.likeness[place]:
        groups.through[place], groups.likeness[place] = other, likeness


@compiled
def join_alike(side: Side, links: NDArray[np.int32], limits: Limits, groups: Groups) -> None:
    """Joins alike texts, directly or through others.

    Args:
        links: [bands, places], the last earlier member of the bucket; -1 ends it.
    """
    for place in range(links.shape[1]):
        for band in range(len(links)):
            other, steps = links[band, place], 0
            while other != NOBODY and steps < limits.walk:
                if groups.seen[other] != place and root_of(groups.parents, other) != root_of(groups.parents, place):
                    likeness = likeness_of(side, place, other, limits)
                    if likeness >= limits.threshold_0_1:
                        _join(groups, place, other)
                        _note(groups, place, other, likeness)
                        _note(groups, other, place, likeness)
                groups.seen[other] = place
                other, steps = links[band, other], steps + 1


@compiled_inner
def _staying(links: NDArray[np.int32], place: int, gone: NDArray[np.bool_]) -> int:
    """The last earlier member of the bucket that stays; those that went are taken out of the chain."""
    other = links[place]
    while other != NOBODY and gone[other]:
        other = links[other]
    links[place] = other
    return other


@compiled
def _meet(dialogues: Dialogues, place: int, other: int, limits: Limits, groups: Groups) -> bool:
    """Compares a sample with one that stays; returns whether the sample is to join a group that it had not met.

    Of several that it is a near copy of, the one with the most like question counts, then answer, then the best one.
    """
    root, answers = root_of(groups.parents, other), dialogues.answers
    known = groups.met[root] == place
    answered = other >= dialogues.first_sample and (
        matching(answers.sketches[place], answers.sketches[other]) >= limits.least_matching
    )
    if known and not answered:
        return False
    likeness = likeness_of(dialogues.questions, place, other, limits)
    if likeness < limits.threshold_0_1:
        return False
    groups.met[root] = place
    if answered:
        answer_likeness = likeness_of(answers, place, other, limits)
        if answer_likeness >= limits.threshold_0_1:
            _note_copy(groups, place, other, (likeness, answer_likeness))
    return not known


@compiled_inner
def _note_copy(groups: Groups, place: int, other: int, likeness: tuple[float, float]) -> None:
    best = (groups.likeness[place], groups.answer_likeness[place])
    if not groups.gone[place] or likeness > best or (likeness == best and other < groups.through[place]):
        groups.gone[place], groups.through[place] = True, other
        groups.likeness[place], groups.answer_likeness[place] = likeness


@compiled
def sift_places(dialogues: Dialogues, links: NDArray[np.int32], limits: Limits, groups: Groups) -> None:
    """Marks near copies of samples that stay as gone, and joins those that stay into groups of like questions."""
    alike = np.empty(links.shape[1], np.int32)
    for place in range(dialogues.first_sample, links.shape[1]):
        count = 0
        for band in range(len(links)):
            other, steps = _staying(links[band], place, groups.gone), 0
            while other != NOBODY and steps < limits.walk:
                if groups.seen[other] != place:
                    groups.seen[other] = place
                    if _meet(dialogues, place, other, limits, groups):
                        alike[count] = other
                        count += 1
                other, steps = _staying(links[band], other, groups.gone), steps + 1
        if not groups.gone[place]:
            for number in range(count):
                _join(groups, place, alike[number])

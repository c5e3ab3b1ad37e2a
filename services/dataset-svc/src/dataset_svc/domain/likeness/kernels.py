# numba types scalars by itself; what numpy's stubs make of their arithmetic is wrong for compiled code
# pyright: reportArgumentType=false, reportReturnType=false, reportAssignmentType=false, reportGeneralTypeIssues=false
"""Compiled inner loops of the search for duplicates: texts to grams, grams to MinHash and to anchors, pairs to Jaccard.

They hold no GIL, so threads share the cores. All of them live in this one file because numba's cache on disk notices
changes of a function's own file only.
"""

from typing import Final

import numpy as np
from datasketch import MinHash
from numpy.typing import NDArray

from dataset_svc.domain.likeness.buffers import (
    NOBODY,
    Affine,
    Anchors,
    Dialogues,
    Groups,
    Limits,
    Scratch,
    Shared,
    Side,
    Texts,
)
from loopwright.compiling import compiled, compiled_inner

PERMUTATIONS: Final = 128
GRAM_CHARS: Final = 5
GRAM_WORDS: Final = 3

_BASE = np.uint64(0x9E3779B97F4A7C15)
_MIX_1, _MIX_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_FMIX_1, _FMIX_2 = np.uint32(0x85EBCA6B), np.uint32(0xC2B2AE35)
_LAST = np.uint32(0xFFFFFFFF)
_MORE: Final = 3  # hashes beyond the last one
_SPACE = np.uint32(0x20)


def affine() -> Affine:
    """The permutations of `datasketch.MinHash(num_perm=128, scheme="affine32")`."""
    factors, shifts = MinHash(num_perm=PERMUTATIONS, scheme="affine32").permutations
    return Affine(factors=np.asarray(factors, dtype=np.uint32), shifts=np.asarray(shifts, dtype=np.uint32))


@compiled_inner
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
    content, place, stop, count = texts.content, texts.starts[row], texts.stops[row], 0
    spaced = True  # so that the text begins with none
    while place < stop:
        byte = np.uint32(content[place])
        if byte < 0x80:
            place += 1
            if byte > 0x20 or 0x00 < byte < 0x09 or 0x0D < byte < 0x1C:
                codes[count] = byte + _SPACE if 0x41 <= byte <= 0x5A else byte
                count += 1
                spaced = False
            elif not spaced:
                codes[count] = _SPACE
                count += 1
                spaced = True
        elif 0xE0 <= byte < 0xF0 and place + 3 <= stop:  # Hangul, and most that is beyond ASCII
            codes[count] = (
                (byte & np.uint32(0x0F)) << np.uint32(12)
                | np.uint32(content[place + 1] & 0x3F) << np.uint32(6)
                | np.uint32(content[place + 2] & 0x3F)
            )
            count, place, spaced = count + 1, place + 3, False
        else:
            code = _lead(byte)
            place += 1
            while place < stop and (content[place] & 0xC0) == 0x80:
                code = (code << np.uint32(6)) | np.uint32(content[place] & 0x3F)
                place += 1
            codes[count] = code
            count, spaced = count + 1, False
    return count - 1 if count and spaced else count


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


@compiled_inner
def whole_grams(texts: Texts, row: int, width: int, scratch: Scratch) -> int:
    """As `read_grams`, but a text shorter than one gram has none."""
    count = read_codes(texts, row, scratch.codes)
    if width > 0:
        words = read_words(scratch.codes, count, scratch.words)
        return word_grams(scratch.words, words, width, scratch.grams) if words >= width else 0
    return char_grams(scratch.codes, count, -width, scratch.grams) if count >= -width else 0


@compiled_inner
def may_hold(bits: NDArray[np.uint8], value: int) -> bool:
    """Whether a hash may be among those that `set_bits` was given."""
    mask = np.uint64(len(bits) * 8 - 1)
    one, other = value & mask, (value >> np.uint64(32)) & mask
    if not (bits[one >> np.uint64(3)] >> np.uint8(one & np.uint64(7))) & np.uint8(1):
        return False
    return ((bits[other >> np.uint64(3)] >> np.uint8(other & np.uint64(7))) & np.uint8(1)) != 0


@compiled
def set_bits(hashes: NDArray[np.uint64], bits: NDArray[np.uint8]) -> None:
    """Adds hashes to a Bloom filter of two bits each, whose size is a power of two."""
    mask = np.uint64(len(bits) * 8 - 1)
    for place in range(len(hashes)):
        one, other = hashes[place] & mask, (hashes[place] >> np.uint64(32)) & mask
        bits[one >> np.uint64(3)] |= np.uint8(1) << np.uint8(one & np.uint64(7))
        bits[other >> np.uint64(3)] |= np.uint8(1) << np.uint8(other & np.uint64(7))


@compiled
def list_grams(texts: Texts, shape: tuple[int, int], bits: NDArray[np.uint8], anchors: Anchors) -> int:
    """Grams that may be among those of a filter; returns how many.

    Args:
        shape: Width of a gram, and from which place of a text to the next one is looked.
        anchors: Written.
    """
    scratch, total = scratch_for(texts, 0, len(texts.starts)), 0
    for row in range(len(texts.starts)):
        count = whole_grams(texts, row, shape[0], scratch)
        anchors.grams[row] = count
        for place in range(0, count, shape[1]):
            gram = scratch.grams[place]
            if may_hold(bits, gram):
                anchors.hashes[total], anchors.rows[total], anchors.places[total] = gram, row, place
                total += 1
    return total


@compiled
def confirm_passages(
    rows: Texts, cases: Texts, shape: tuple[int, int], shared: Shared, sure: NDArray[np.bool_]
) -> None:
    """Which shared anchors, beside those that are sure, lie in a passage of the length that is asked for.

    Args:
        shape: Width of an anchor, and words or characters that a passage has more.
        sure: Set.
    """
    width, missing = shape
    one, other = scratch_for(rows, 0, len(rows.starts)), scratch_for(cases, 0, len(cases.starts))
    row, case, units, case_units = -1, -1, 0, 0
    for place in range(len(sure)):
        if sure[place]:
            continue
        if shared.rows[place] != row:
            row = shared.rows[place]
            units = _read_units(rows, row, width, one)
        if shared.cases[place] != case:
            case = shared.cases[place]
            case_units = _read_units(cases, case, width, other)
        spans = (shared.row_places[place], units, shared.case_places[place], case_units)
        if width > 0:
            sure[place] = _is_passage(one.words, other.words, spans, width, missing)
        else:
            sure[place] = _is_passage(one.codes, other.codes, spans, -width, missing)


@compiled_inner
def _read_units(texts: Texts, row: int, width: int, scratch: Scratch) -> int:
    count = read_codes(texts, row, scratch.codes)
    return read_words(scratch.codes, count, scratch.words) if width > 0 else count


@compiled_inner
def _is_passage(
    row: NDArray[np.uint64], case: NDArray[np.uint64], spans: tuple[int, int, int, int], anchor: int, missing: int
) -> bool:
    """Whether what is the same around the anchor at a place of the row and one of the case is long enough."""
    at, row_end, of, case_end = spans
    before = 0
    while before < min(at, of, missing) and row[at - before - 1] == case[of - before - 1]:
        before += 1
    at, of = at + anchor, of + anchor
    after, most = 0, min(row_end - at, case_end - of, missing - before)
    while after < most and row[at + after] == case[of + after]:
        after += 1
    return before + after >= missing


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
        np.empty(room, np.uint32),
        np.empty(room, np.uint64),
        np.empty(room, np.uint64),
        np.empty(room + _MORE, np.uint32),
    )


@compiled_inner
def fold_minima(scratch: Scratch, count: int, permutations: Affine, minima: NDArray[np.uint32]) -> None:
    """The MinHash [128] of the grams: finaliser of MurmurHash3, then the least value under each permutation.

    Four grams at a time meet all permutations, so that the compiler makes vector instructions of it whatever `count`.
    """
    hashes = scratch.hashes
    for place in range(count):
        value = np.uint32(scratch.grams[place] & np.uint64(0xFFFFFFFF))
        value = np.uint32((value ^ (value >> np.uint32(16))) * _FMIX_1)
        value = np.uint32((value ^ (value >> np.uint32(13))) * _FMIX_2)
        hashes[place] = value ^ (value >> np.uint32(16))
    for place in range(count, count + _MORE):  # once more changes no minimum
        hashes[place] = hashes[0]
    factors, shifts = permutations.factors, permutations.shifts
    for number in range(PERMUTATIONS):
        minima[number] = _LAST
    for place in range(0, count, _MORE + 1):
        one, two, three, four = hashes[place], hashes[place + 1], hashes[place + 2], hashes[place + 3]
        for number in range(PERMUTATIONS):
            factor, shift = factors[number], shifts[number]
            least = min(np.uint32(factor * one + shift), np.uint32(factor * two + shift))
            other = min(np.uint32(factor * three + shift), np.uint32(factor * four + shift))
            minima[number] = min(minima[number], least, other)


@compiled
def sign(texts: Texts, width: int, permutations: Affine, first: int, signatures: NDArray[np.uint32]) -> None:
    """MinHash of texts `first` and following, as many as `signatures` [rows, 128] has rows."""
    scratch = scratch_for(texts, first, first + len(signatures))
    for row in range(len(signatures)):
        count = read_grams(texts, first + row, width, scratch)
        fold_minima(scratch, count, permutations, signatures[row])


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

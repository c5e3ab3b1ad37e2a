"""One look at every character of many texts, for all that the search of personal data turns on.

It finds the traits of each text, its words of Hangul, and its capitals, so that shapes and names are looked for only where
they can be. A character costs a few steps without a branch; what can tell something (digits, capitals, some syllables) is
few, and looked at by itself. What numba's cache on disk notices is a change of this file only, so it is complete in itself.
"""
# ruff: noqa: PLR1714 - membership tests make the compiled loops several times slower
# numpy's scalars are the integers of compiled loops:
# pyright: reportArgumentType=false, reportReturnType=false

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from loopwright.compiling import compiled, compiled_inner

Codes = NDArray[np.uint32]
Ints = NDArray[np.int64]
Keys = NDArray[np.uint64]

# traits of a text; each is what some shape cannot do without
ODD: Final = 1 << 0  # full-width forms, dashes and spaces that are read as plain ones
DIGITS_2: Final = 1 << 1  # two digits
LONG_NUMBER: Final = 1 << 2  # seven digits, with the signs that stand in numbers between them
LONG_RUN: Final = 1 << 3  # sixteen letters, digits and signs as keys have them
IPV4: Final = 1 << 4
IPV6: Final = 1 << 5
PLACE: Final = 1 << 6  # a digit behind a syllable that ends the names of roads and villages
HOUSE: Final = 1 << 7  # the word for a lot, or a number of a flat
PLATE: Final = 1 << 8  # digits, a syllable, four digits
STREET: Final = 1 << 9  # a number before a capital
BORN: Final = 1 << 10  # a date before the word for birth
DWELLING: Final = 1 << 11  # words for where somebody lives, before what links them to a place
CAPITAL: Final = 1 << 12  # a capital before a small letter
AT_SIGN: Final = 1 << 13
ENTITLED: Final = 1 << 14  # an English word that may be a title: Mr, Miss, Prof
LETTERED: Final = 1 << 15  # a capital alone before what may be an honorific
HONOURED: Final = 1 << 16  # the honorific of full names
# of texts with a long number only
RUN_13: Final = 1 << 17  # thirteen digits in a row
ABROAD: Final = 1 << 18  # a plus before a digit
SIX_HYPHEN: Final = 1 << 19  # six digits, a hyphen and a digit
TWO_FIVE: Final = 1 << 20  # two digits, two and five with hyphens between
FOURS: Final = 1 << 21  # digits in groups as cards have them
GROUPED: Final = 1 << 22  # the last two groups of a phone number behind a sign
ACCOUNT: Final = 1 << 23  # ten digits in a row, or three groups with hyphens between
IBAN: Final = 1 << 24  # two capitals before two digits

_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
# places that are unsigned spare loops the question whether they count from the end
_ONE, _TWO, _THREE, _FOUR, _EIGHT, _TWELVE = (np.uint64(count) for count in (1, 2, 3, 4, 8, 12))
_SSI, _HO, _BIRTH, _TAE, _OUT, _DAY, _AT = 0xC528, 0xD638, 0xC0DD, 0xD0DC, 0xCD9C, 0xC77C, 0xC5D0
_LOT = (0xBC88, 0xC9C0)
_PLACE, _SO, _ORIGIN = 0xACF3, 0xC18C, 0xC801  # 곳, 소, 적
TELLING_SYLLABLES = frozenset((_SSI, _HO, _LOT[1], _BIRTH, _TAE, _PLACE, _SO, _ORIGIN))
PLANE: Final = 0x10000
IS_HANGUL, IS_OF_KEY, IS_DIGIT, IS_TELLING, IS_ODD, IS_IN_NUMBER, IS_HEXADECIMAL = (
    np.uint8(1 << bit) for bit in range(7)
)
AHEAD: Final = 32  # room behind the last character, for loops that look ahead


class Tables(NamedTuple):
    """What characters are [0x10000].

    Attributes:
        plain: The plain character that one is read as.
        places: Whether the syllable ends names of roads and villages.
        titles: Whether a word that follows a capital alone may begin with the syllable.
        kinds: Bits of what else the character can be; 0 for the last, as which those beyond are read.
    """

    plain: Codes
    places: NDArray[np.bool_]
    titles: NDArray[np.bool_]
    kinds: NDArray[np.uint8]


class HangulWords(NamedTuple):
    """Runs of Hangul, in order: the text of each, where it begins in all texts together, syllables, and a hash."""

    text: NDArray[np.int32]
    first: Ints
    length: NDArray[np.int32]
    key: Keys


class Scan(NamedTuple):
    """What was seen; text i is `codes[starts[i]:starts[i + 1]]`, read plainly.

    Attributes:
        numbers: Between where all long numbers of a text stand [texts, 2]; zeros if it has none.
        capitals: Where a capital stands before a small letter, in all texts together.
    """

    codes: Codes
    starts: Ints
    traits: Ints
    numbers: NDArray[np.int32]
    words: HangulWords
    capitals: Ints


class _Desk(NamedTuple):
    """Room for what is seen of one text.

    Attributes:
        kinds: Of each character, before zeros.
        runs: Where rows of characters of a key are long enough.
        marks: Where words begin and end.
        telling: Where something stands that can tell a trait.
    """

    kinds: NDArray[np.uint8]
    runs: NDArray[np.uint8]
    marks: NDArray[np.int32]
    telling: NDArray[np.int32]


@compiled
def _is_digit(code: int) -> bool:
    return 0x30 <= code <= 0x39


@compiled
def _is_upper(code: int) -> bool:
    return 0x41 <= code <= 0x5A


@compiled
def _is_lower(code: int) -> bool:
    return 0x61 <= code <= 0x7A


@compiled
def _is_alnum(code: int) -> bool:
    return 0x30 <= code <= 0x39 or 0x41 <= code <= 0x5A or 0x61 <= code <= 0x7A


@compiled
def _is_hangul(code: int) -> bool:
    return 0xAC00 <= code <= 0xD7A3


@compiled
def _is_space(code: int) -> bool:
    if code < 0x80:
        return code == 0x20 or 0x09 <= code <= 0x0D or 0x1C <= code <= 0x1F
    return code == 0x85 or code == 0xA0 or code == 0x1680 or 0x2000 <= code <= 0x200A or 0x2028 <= code <= 0x3000


@compiled
def look(codes: Codes, starts: Ints, tables: Tables) -> Scan:
    """Looks at all texts; odd characters become plain ones in place."""
    traits, numbers, longest = np.zeros(len(starts) - 1, np.int64), np.zeros((len(starts) - 1, 2), np.int32), 0
    for text in range(len(traits)):
        longest = max(longest, starts[text + 1] - starts[text])
    kinds, runs = np.zeros(longest + AHEAD, np.uint8), np.zeros(longest + AHEAD, np.uint8)
    desk = _Desk(kinds, runs, np.empty(longest + 2, np.int32), np.empty(longest + 2, np.int32))
    room = len(codes) // 2 + len(starts)  # something stands between two words, or they are of two texts
    texts, firsts, lengths = np.empty(room, np.int32), np.empty(room, np.int64), np.empty(room, np.int32)
    words = HangulWords(texts, firsts, lengths, np.empty(room, np.uint64))
    capitals, count, capital = np.empty(room, np.int64), 0, 0
    for text in range(len(traits)):
        first, stop = starts[text], starts[text + 1] - starts[text]
        own = codes[first : first + stop + AHEAD]
        seen = _read_plainly(own, stop, tables, desk.kinds)
        found = (ODD if seen & IS_ODD else 0) | (LONG_RUN if seen & IS_OF_KEY and _has_long_run(desk, stop) else 0)
        if seen & IS_HANGUL:
            marks = desk.marks[: _mark_words(desk, stop)]
            _cut_words(own, marks, (text, first), words, count)
            count += len(marks) // 2
        if seen & IS_TELLING:
            telling = desk.telling[: _mark_telling(desk, stop)]
            found |= _trait_of_neighbours(own, telling, stop, tables)
            if seen & IS_DIGIT:
                found |= _trait_of_digits(own, telling, desk.kinds, numbers[text])
            if found & LONG_NUMBER:
                found |= _trait_of_numbers(own, telling, stop)
            if found & CAPITAL:
                capital += _put_capitals(own, telling, (first, stop), capitals[capital:])
        traits[text] = found
    words = HangulWords(texts[:count], firsts[:count], lengths[:count], words.key[:count])
    return Scan(codes, starts, traits, numbers, words, capitals[:capital])


@compiled_inner
def _read_plainly(codes: Codes, stop: int, tables: Tables, kinds: NDArray[np.uint8]) -> int:
    """Puts down what each character is; gives the bits of all."""
    seen = np.uint8(0)
    for place in range(np.uint64(stop)):
        kind = tables.kinds[min(codes[place], np.uint32(0xFFFF))]
        kinds[place] = kind
        seen |= kind
    kinds[stop : stop + 16] = 0
    if seen & IS_ODD:
        for place in range(np.uint64(stop)):
            if kinds[place] & IS_ODD:
                codes[place] = tables.plain[codes[place]]
                kinds[place] = tables.kinds[codes[place]]
                seen |= kinds[place]
    return seen


@compiled_inner
def _has_long_run(desk: _Desk, stop: int) -> bool:
    """Whether sixteen characters of a key stand in a row: four rows of four."""
    kinds, runs, long = desk.kinds, desk.runs, np.uint8(0)
    for place in range(np.uint64(stop) + _TWELVE):
        runs[place] = kinds[place] & kinds[place + _ONE] & kinds[place + _TWO] & kinds[place + _THREE]
    for place in range(np.uint64(stop)):
        long |= runs[place] & runs[place + _FOUR] & runs[place + _EIGHT] & runs[place + _TWELVE]
    return long & IS_OF_KEY != 0


@compiled_inner
def _mark_words(desk: _Desk, stop: int) -> int:
    """Where words of Hangul begin and end, in turns; gives how many places those are."""
    kinds, marks, count, before = desk.kinds, desk.marks, np.uint64(0), np.uint8(0)
    for place in range(np.uint64(stop) + _ONE):
        marks[count] = place
        count += np.uint64((kinds[place] ^ before) & IS_HANGUL)
        before = kinds[place]
    return np.int64(count)


@compiled_inner
def _mark_telling(desk: _Desk, stop: int) -> int:
    kinds, telling, count = desk.kinds, desk.telling, np.uint64(0)
    for place in range(np.uint64(stop)):
        telling[count] = place
        count += np.uint64((kinds[place] & IS_TELLING) != 0)
    return np.int64(count)


@compiled_inner
def _cut_words(codes: Codes, marks: NDArray[np.int32], own: tuple[int, int], words: HangulWords, count: int) -> None:
    """Puts down the words of a text behind those of the texts before it."""
    text, start = own
    word = np.uint64(count)
    for mark in range(np.uint64(0), np.uint64(len(marks)), _TWO):
        first, stop = np.uint64(marks[mark]), np.uint64(marks[mark + _ONE])
        key = np.uint64(0)
        for place in range(_FOUR):  # without a branch, which reading behind the word spares: most are no longer
            key = key << np.uint64(16) | np.uint64(codes[first + place]) * np.uint64(place < stop - first)
        for place in range(first + _FOUR, stop):
            key = _mixed(key) + np.uint64(codes[place])
        words.text[word], words.first[word] = text, start + np.int64(first)
        words.length[word], words.key[word] = stop - first, _mixed(key) | _ONE
        word += _ONE


@compiled_inner
def _mixed(key: int) -> int:
    mixed = key * _MULTIPLIER
    return mixed ^ (mixed >> np.uint64(29))


@compiled_inner
def _put_capitals(codes: Codes, telling: NDArray[np.int32], bounds: tuple[int, int], capitals: Ints) -> int:
    (start, stop), count = bounds, 0
    for place in telling:
        if _is_upper(codes[place]) and place + 1 < stop and _is_lower(codes[place + 1]):
            capitals[count] = start + place
            count += 1
    return count


@compiled_inner
def _trait_of_digits(
    codes: Codes, telling: NDArray[np.int32], kinds: NDArray[np.uint8], span: NDArray[np.int32]
) -> int:
    """What rows of digits and the signs between them tell; puts down where long numbers stand."""
    found, last, first = 0, -5, 0
    row, number, dots = 0, 0, 0  # digits in a row, those of a number with signs in it, and dots between short rows
    for place in telling:
        if not _is_digit(codes[place]):
            continue
        gap = place - last - 1
        if gap:
            point = gap == 1 and codes[place - 1] == 0x2E
            dots = 0 if not point else dots + 1 if 0 < dots < 3 and row <= 3 else 1
            row = 0
            for at in range(last + 1, place if gap <= 3 else 0):
                number = number if kinds[at] & IS_IN_NUMBER else 0
            number = number if gap <= 3 else 0
        first = first if number else place
        row, number, last = row + 1, number + 1, place
        if number >= 7:
            span[0], span[1] = span[0] if span[1] else first, place + 1
        found |= (DIGITS_2 if row == 2 else 0) | (IPV4 if dots == 3 else 0)
    return found | (LONG_NUMBER if span[1] else 0)


@compiled_inner
def _trait_of_numbers(codes: Codes, telling: NDArray[np.int32], stop: int) -> int:
    """What rows of digits tell by their lengths and the signs beside them."""
    found, end = 0, 0
    for place in telling:
        if place < end or not _is_digit(codes[place]):
            continue
        end = _end_of_digits(codes, place, stop)
        found |= (RUN_13 if end - place >= 13 else 0) | (ACCOUNT if end - place >= 10 else 0)
        found |= _trait_before(codes, (place, end), stop) | _trait_of_groups(codes, (place, end), stop)
    return found


@compiled_inner
def _end_of_digits(codes: Codes, place: int, stop: int) -> int:
    while place < stop and _is_digit(codes[place]):
        place += 1
    return place


@compiled_inner
def _trait_before(codes: Codes, digits: tuple[int, int], stop: int) -> int:
    """What the signs before a row of digits tell."""
    place, end = digits
    if place == 0:
        return 0
    length, before = end - place, codes[place - 1]
    if before == 0x2B:
        return ABROAD if codes[place] != 0x30 else 0
    if _is_upper(before):
        return IBAN if length >= 2 and place >= 2 and _is_upper(codes[place - 2]) else 0
    if not (before == 0x2D or before == 0x2E or before == 0x20 or before == 0x29):
        return 0
    if length >= 7:
        return GROUPED
    joined = end < stop and (codes[end] == 0x2D or codes[end] == 0x2E or codes[end] == 0x20)
    return GROUPED if 3 <= length <= 4 and joined and _end_of_digits(codes, end + 1, stop) - end > 4 else 0


@compiled_inner
def _trait_of_groups(codes: Codes, digits: tuple[int, int], stop: int) -> int:
    """What two further groups of digits tell, with a hyphen or a space between."""
    length, end = digits[1] - digits[0], digits[1]
    if end == stop or not (codes[end] == 0x2D or codes[end] == 0x20):
        return 0
    found, hyphen = 0, end if codes[end] == 0x2D else end + 1
    if length >= 6 and hyphen < stop and codes[hyphen] == 0x2D:
        after = hyphen + 1 if hyphen + 1 < stop and codes[hyphen + 1] == 0x20 else hyphen
        found = SIX_HYPHEN if after + 1 < stop and _is_digit(codes[after + 1]) else 0
    sign = _end_of_digits(codes, end + 1, stop)
    if sign >= stop or not (codes[sign] == 0x2D or codes[sign] == 0x20):
        return found
    second, third = sign - end - 1, _end_of_digits(codes, sign + 1, stop) - sign - 1
    if length >= 4 and ((second == 4 and third >= 4) or (second == 6 and third >= 5)):
        found |= FOURS
    if codes[end] == 0x2D and codes[sign] == 0x2D and length >= 2 and 2 <= second <= 6 and third >= 2:
        found |= ACCOUNT | (TWO_FIVE if second == 2 and third >= 5 else 0)
    return found


@compiled_inner
def _trait_of_neighbours(codes: Codes, telling: NDArray[np.int32], stop: int, tables: Tables) -> int:
    """What characters tell that stand beside others."""
    found = 0
    for place in telling:
        code = codes[place]
        if _is_digit(code):
            found |= _trait_of_digit(codes, place, tables.places) | _trait_of_number(codes, place)
        elif _is_upper(code):
            found |= _trait_of_capital(codes, place, stop, tables.titles) | _trait_of_number(codes, place)
        elif code == 0x3A:
            found |= _trait_of_colon(codes, place, tables.kinds)
        elif code == 0x40:
            found |= AT_SIGN
        else:
            found |= _trait_of_syllable(codes, place, stop)
    return found


@compiled_inner
def _trait_of_colon(codes: Codes, place: int, kinds: NDArray[np.uint8]) -> int:
    """A hexadecimal digit before two colons, or up to four between two."""
    at = place - 1
    while at >= 0 and place - at <= 4 and _is_hexadecimal(codes[at], kinds):
        at -= 1
    if at < 0 or codes[at] != 0x3A:
        return 0
    return IPV6 if at < place - 1 or (at > 0 and _is_hexadecimal(codes[at - 1], kinds)) else 0


@compiled_inner
def _is_hexadecimal(code: int, kinds: NDArray[np.uint8]) -> bool:
    return code < PLANE and kinds[code] & IS_HEXADECIMAL != 0


@compiled_inner
def _trait_of_digit(codes: Codes, place: int, places: NDArray[np.bool_]) -> int:
    found, at = 0, place - 1
    while at >= 0 and place - at < 3 and _is_space(codes[at]):
        at -= 1
    if at >= 0 and codes[at] < PLANE and places[codes[at]]:
        found |= PLACE
    if place < 5 or not (_is_digit(codes[place - 1]) and _is_digit(codes[place - 2])):
        return found
    at = place - 4
    if not _is_digit(codes[place - 3]) or _is_digit(codes[at]):
        return found
    at -= at > 0 and _is_space(codes[at])
    if at > 0 and _is_hangul(codes[at]):
        at -= 1
        at -= at > 0 and _is_space(codes[at])
        found |= PLATE if _is_digit(codes[at]) else 0
    return found


@compiled_inner
def _trait_of_number(codes: Codes, place: int) -> int:
    """A number before the capital or digit, with a space between, and a capital and a comma perhaps."""
    if place < 2 or codes[place - 1] != 0x20:
        return 0
    at = place - 2
    at -= at > 0 and codes[at] == 0x2C
    at -= at > 0 and _is_upper(codes[at])
    return STREET if _is_digit(codes[at]) else 0


@compiled_inner
def _trait_of_capital(codes: Codes, place: int, stop: int, titles: NDArray[np.bool_]) -> int:
    after = codes[place + 1] if place + 1 < stop else np.uint32(0)
    if _is_lower(after):
        return CAPITAL | _trait_of_title(codes, place, stop)
    if place > 0:
        before = codes[place - 1]
        if _is_alnum(before) or before == 0x2E or before == 0x2D or before == 0x5F or before == 0x2F:
            return 0
    if after == 0x20 and place + 2 < stop:
        after = codes[place + 2]
    return LETTERED if after == 0x28 or (after < PLANE and titles[after]) else 0


@compiled_inner
def _trait_of_title(codes: Codes, place: int, stop: int) -> int:
    """What the letters and the length of a capitalised word tell: Mr, Mrs, Ms, Miss, Dr, Prof, Professor, Sir, Madam."""
    end = place + 2
    while end < stop and end - place < 10 and _is_lower(codes[end]):
        end += 1
    initial, second, length = codes[place], codes[place + 1], end - place
    if initial == 0x4D:  # M
        if second == 0x72 or second == 0x73:
            return ENTITLED if length <= 3 else 0
        return ENTITLED if (second == 0x69 and length == 4) or (second == 0x61 and length == 5) else 0
    if second == 0x72:
        doctor = initial == 0x44 and length == 2
        return ENTITLED if doctor or (initial == 0x50 and (length == 4 or length == 9)) else 0
    return ENTITLED if initial == 0x53 and second == 0x69 and length == 3 else 0


@compiled_inner
def _links(codes: Codes, place: int, stop: int) -> bool:
    """No Hangul but 은, 는, 이, 가 and 번."""
    code = codes[place] if place < stop else np.uint32(0xAC01)
    return (
        not _is_hangul(code) or code == 0xC740 or code == 0xB294 or code == 0xC774 or code == 0xAC00 or code == _LOT[0]
    )


@compiled_inner
def _is_dwelling(codes: Codes, place: int) -> bool:
    """주소, 본적, 거주지, 소재지, 배송지, 사는 곳: told by their last syllable."""
    code = codes[place]
    before = codes[place - 1] if place > 0 else np.uint32(0)
    if code == _SO:
        return before == 0xC8FC
    if code == _ORIGIN:
        return before == 0xBCF8
    at = place - 1
    if code == _PLACE:
        at -= at > 0 and _is_space(before)
        return at > 0 and codes[at] == 0xB294 and codes[at - 1] == 0xC0AC
    earlier = codes[at - 1] if at > 0 else np.uint32(0)
    if before == 0xC8FC:
        return earlier == 0xAC70
    return earlier == _SO if before == 0xC7AC else before == 0xC1A1 and earlier == 0xBC30


@compiled_inner
def _trait_of_syllable(codes: Codes, place: int, stop: int) -> int:
    code = codes[place]
    if code == _SSI:
        return HONOURED
    before = codes[place - 1] if place > 0 else np.uint32(0)
    if code == _HO:
        return HOUSE if _is_digit(before) else 0
    if code == _LOT[1] and before == _LOT[0]:
        return HOUSE
    if code != _BIRTH and code != _TAE:
        return DWELLING if _links(codes, place + 1, stop) and _is_dwelling(codes, place) else 0
    at = place - 1
    at -= code == _BIRTH and at > 0 and codes[at] == _OUT
    if code == _TAE:
        at -= at > 0 and _is_space(codes[at])
        at -= at > 0 and codes[at] == _AT
    at -= at > 0 and _is_space(codes[at])
    at -= at > 0 and codes[at] == 0x2E
    return BORN if at >= 0 and (_is_digit(codes[at]) or codes[at] == _DAY) else 0

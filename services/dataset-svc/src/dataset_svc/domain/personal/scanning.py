"""One look at every character of many texts, for all that the search of personal data turns on.

It finds the traits of each text, its words of Hangul, and its capitalised words, so that shapes and names are looked for
only where they can be. What numba's cache on disk notices is a change of this file only, so it is complete in itself.
"""
# ruff: noqa: PLR1714 - membership tests make the compiled loops several times slower
# numpy's scalars are the integers of compiled loops:
# pyright: reportArgumentType=false, reportReturnType=false

from collections.abc import Iterable, Sequence
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
CAPITAL: Final = 1 << 11  # a capital before a small letter
LETTERED: Final = 1 << 12  # a capital alone before what may be an honorific
HONOURED: Final = 1 << 13  # the honorific of full names
# of texts with a long number only
RUN_13: Final = 1 << 14  # thirteen digits in a row
ABROAD: Final = 1 << 15  # a plus before a digit
SIX_HYPHEN: Final = 1 << 16  # six digits, a hyphen and a digit
TWO_FIVE: Final = 1 << 17  # two digits, two and five with hyphens between
FOURS: Final = 1 << 18  # digits in groups as cards have them
GROUPED: Final = 1 << 19  # the last two groups of a phone number behind a sign
ACCOUNT: Final = 1 << 20  # ten digits in a row, or three groups with hyphens between
IBAN: Final = 1 << 21  # two capitals before two digits

_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
_ONE = np.uint64(1)
_SSI, _HO, _BIRTH, _TAE, _OUT, _DAY, _AT = 0xC528, 0xD638, 0xC0DD, 0xD0DC, 0xCD9C, 0xC77C, 0xC5D0
_LOT = (0xBC88, 0xC9C0)
_DASHES = frozenset((0x2010, 0x2011, 0x2012, 0x2013, 0x2014, 0x2212))
_SPACES = frozenset((0x00A0, 0x3000))
_PLANE: Final = 0x10000
_OF_KEY, _DIGIT, _IN_NUMBER, _HEXADECIMAL, _TELLING = (np.uint8(1 << bit) for bit in range(5))


class Tables(NamedTuple):
    """What characters are [0x10000].

    Attributes:
        plain: The plain character that one is read as.
        places: Whether the syllable ends names of roads and villages.
        titles: Whether a word that follows a capital alone may begin with the syllable.
        kinds: Bits of what else the character can be.
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
    """What was seen; text i is `codes[starts[i]:starts[i + 1]]`, read plainly."""

    codes: Codes
    starts: Ints
    traits: Ints
    words: HangulWords


def _marked(chars: str) -> NDArray[np.bool_]:
    marks = np.zeros(_PLANE, dtype=np.bool_)
    marks[[ord(char) for char in chars]] = True
    return marks


def _plain(code: int) -> int:
    if 0xFF01 <= code <= 0xFF5E:
        return code - 0xFEE0
    return ord("-") if code in _DASHES else ord(" ") if code in _SPACES else code


def _kind(code: int) -> int:
    char = chr(code)
    key = char.isascii() and (char.isalnum() or char in "+/_-.=~")
    bits = (
        (_OF_KEY, key),
        (_DIGIT, char in "0123456789"),
        (_IN_NUMBER, char in " .-()"),
        (_HEXADECIMAL, char in "0123456789abcdefABCDEF"),
        (_TELLING, char in " 0123456789" or (key and char.isupper()) or code in (_SSI, _HO, _LOT[1], _BIRTH, _TAE)),
    )
    return sum(bit for bit, holds in bits if holds)


_TABLES: Final = Tables(
    plain=np.array([_plain(code) for code in range(_PLANE)], dtype=np.uint32),
    places=_marked("읍면동리가로길산하"),
    titles=_marked("씨군양모기의교대회원경선감여남할"),
    kinds=np.array([_kind(code) for code in range(_PLANE)], dtype=np.uint8),
)
# read one for one, so that places in the text stay the same
PLAIN_FORMS: Final = {code: _plain(code) for code in range(_PLANE) if _plain(code) != code}


def scan(texts: Sequence[str]) -> Scan:
    """Looks at all texts; time and memory grow with their characters."""
    starts = np.zeros(len(texts) + 1, dtype=np.int64)
    np.cumsum(np.fromiter(map(len, texts), dtype=np.int64, count=len(texts)), out=starts[1:])
    codes = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), dtype=np.uint32).copy()
    traits = _traits(codes, starts, _TABLES)
    return Scan(codes=codes, starts=starts, traits=traits, words=_hangul_words(codes, starts))


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
def _traits(codes: Codes, starts: Ints, tables: Tables) -> Ints:
    traits = np.zeros(len(starts) - 1, dtype=np.int64)
    for text in range(len(traits)):
        first, stop = starts[text], starts[text + 1]
        found = _read_plainly(codes, first, stop, tables.plain)
        found |= _trait_of_runs(codes, first, stop, tables.kinds)
        found |= _trait_of_neighbours(codes, first, stop, tables)
        traits[text] = found | _trait_of_numbers(codes, first, stop) if found & LONG_NUMBER else found
    return traits


@compiled_inner
def _read_plainly(codes: Codes, first: int, stop: int, plain: Codes) -> int:
    odd = 0
    for place in range(first, stop):
        code = codes[place]
        if 0x80 <= code < 0xAC00 or 0xD7A3 < code < 0x10000:
            codes[place] = plain[code]
            odd |= codes[place] != code
    return ODD if odd else 0


@compiled_inner
def _trait_of_runs(codes: Codes, first: int, stop: int, kinds: NDArray[np.uint8]) -> int:
    """What rows of characters tell: letters and signs of keys, digits, numbers with signs in them, colons."""
    found = 0
    run, digits, count, gap, dots = 0, 0, 0, 0, 0
    before, colon = -1, -10  # the last character that is no hexadecimal digit, and the last colon
    for place in range(first, stop):
        code = codes[place]
        kind = kinds[code] if code < _PLANE else np.uint8(0)
        run = run + 1 if kind & _OF_KEY else 0
        found |= LONG_RUN if run == 16 else 0
        if kind & _DIGIT:
            count, gap = count + 1 if gap <= 3 else 1, 0
            digits += 1
            found |= (DIGITS_2 if digits == 2 else 0) | (LONG_NUMBER if count == 7 else 0) | (IPV4 if dots == 3 else 0)
            continue
        if digits or count or dots:
            dots = 0 if code != 0x2E or digits == 0 else dots + 1 if 0 < dots < 3 and digits <= 3 else 1
            count, gap, digits = count if kind & _IN_NUMBER else 0, gap + 1, 0
        if code == 0x3A:
            found |= _trait_of_colon(codes, (first, place), (before, colon), kinds)
            before = colon = place
        elif not kind & _HEXADECIMAL:
            before = place
    return found


@compiled_inner
def _trait_of_numbers(codes: Codes, first: int, stop: int) -> int:
    """What rows of digits tell by their lengths and the signs beside them."""
    found, place = 0, first
    while place < stop:
        end = _end_of_digits(codes, place, stop)
        if end == place:
            place += 1
            continue
        found |= (RUN_13 if end - place >= 13 else 0) | (ACCOUNT if end - place >= 10 else 0)
        found |= _trait_before(codes, first, (place, end), stop) | _trait_of_groups(codes, (place, end), stop)
        place = end
    return found


@compiled_inner
def _end_of_digits(codes: Codes, place: int, stop: int) -> int:
    while place < stop and _is_digit(codes[place]):
        place += 1
    return place


@compiled_inner
def _trait_before(codes: Codes, first: int, digits: tuple[int, int], stop: int) -> int:
    """What the signs before a row of digits tell."""
    place, end = digits
    if place == first:
        return 0
    length, before = end - place, codes[place - 1]
    if before == 0x2B:
        return ABROAD if codes[place] != 0x30 else 0
    if _is_upper(before):
        return IBAN if length >= 2 and place - 2 >= first and _is_upper(codes[place - 2]) else 0
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
def _trait_of_colon(codes: Codes, bounds: tuple[int, int], last: tuple[int, int], kinds: NDArray[np.uint8]) -> int:
    """A hexadecimal digit before two colons, or up to four between two."""
    (first, place), (before, colon) = bounds, last
    if colon != before or not 0 < place - colon <= 5:
        return 0
    if place - colon > 1:
        return IPV6
    earlier = codes[place - 2] if place - 2 >= first else np.uint32(0)
    return IPV6 if earlier < _PLANE and kinds[earlier] & _HEXADECIMAL else 0


@compiled_inner
def _trait_of_neighbours(codes: Codes, first: int, stop: int, tables: Tables) -> int:
    """What characters tell that stand beside others; most can tell nothing."""
    found = 0
    for place in range(first, stop):
        code = codes[place]
        if code >= _PLANE or not tables.kinds[code] & _TELLING:
            continue
        if code == 0x20:
            found |= STREET if _is_street(codes, first, place, stop) else 0
        elif _is_digit(code):
            found |= _trait_of_digit(codes, first, place, tables.places)
        elif _is_upper(code):
            found |= _trait_of_capital(codes, (first, place, stop), tables.titles)
        else:
            found |= _trait_of_syllable(codes, first, place)
    return found


@compiled_inner
def _trait_of_digit(codes: Codes, first: int, place: int, places: NDArray[np.bool_]) -> int:
    found, at = 0, place - 1
    while at >= first and place - at < 3 and _is_space(codes[at]):
        at -= 1
    if at >= first and codes[at] < _PLANE and places[codes[at]]:
        found |= PLACE
    if place - first < 5 or not (_is_digit(codes[place - 1]) and _is_digit(codes[place - 2])):
        return found
    at = place - 4
    if not _is_digit(codes[place - 3]) or _is_digit(codes[at]):
        return found
    at -= at > first and _is_space(codes[at])
    if at > first and _is_hangul(codes[at]):
        at -= 1
        at -= at > first and _is_space(codes[at])
        found |= PLATE if _is_digit(codes[at]) else 0
    return found


@compiled_inner
def _is_street(codes: Codes, first: int, place: int, stop: int) -> bool:
    if place + 1 >= stop or not (_is_upper(codes[place + 1]) or _is_digit(codes[place + 1])):
        return False
    at = place - 1
    at -= at > first and codes[at] == 0x2C
    at -= at > first and _is_upper(codes[at])
    return at >= first and _is_digit(codes[at])


@compiled_inner
def _trait_of_capital(codes: Codes, bounds: tuple[int, int, int], titles: NDArray[np.bool_]) -> int:
    first, place, stop = bounds
    after = codes[place + 1] if place + 1 < stop else np.uint32(0)
    if _is_lower(after):
        return CAPITAL
    if place > first:
        before = codes[place - 1]
        if _is_alnum(before) or before == 0x2E or before == 0x2D or before == 0x5F or before == 0x2F:
            return 0
    if after == 0x20 and place + 2 < stop:
        after = codes[place + 2]
    return LETTERED if after == 0x28 or (after < _PLANE and titles[after]) else 0


@compiled_inner
def _trait_of_syllable(codes: Codes, first: int, place: int) -> int:
    code = codes[place]
    if code == _SSI:
        return HONOURED
    if code == _HO or code == _LOT[1]:
        before = codes[place - 1] if place > first else np.uint32(0)
        return HOUSE if (_is_digit(before) if code == _HO else before == _LOT[0]) else 0
    if code != _BIRTH and code != _TAE:
        return 0
    at = place - 1
    at -= code == _BIRTH and at > first and codes[at] == _OUT
    if code == _TAE:
        at -= at > first and _is_space(codes[at])
        at -= at > first and codes[at] == _AT
    at -= at > first and _is_space(codes[at])
    at -= at > first and codes[at] == 0x2E
    return BORN if at >= first and (_is_digit(codes[at]) or codes[at] == _DAY) else 0


@compiled
def _hangul_words(codes: Codes, starts: Ints) -> HangulWords:
    room = len(codes) // 2 + len(starts)  # something stands between two words, or they are of two texts
    texts, firsts, lengths = np.empty(room, np.int32), np.empty(room, np.int64), np.empty(room, np.int32)
    keys = np.empty(room, np.uint64)
    count = 0
    for text in range(len(starts) - 1):
        place, stop = starts[text], starts[text + 1]
        while place < stop:
            first, key = place, np.uint64(0)
            while place < stop and _is_hangul(codes[place]):
                key = (key + np.uint64(codes[place])) * _MULTIPLIER
                key ^= key >> np.uint64(29)
                place += 1
            if place > first:
                texts[count], firsts[count], lengths[count], keys[count] = text, first, place - first, key | _ONE
                count += 1
            else:
                place += 1
    return HangulWords(texts[:count].copy(), firsts[:count].copy(), lengths[:count].copy(), keys[:count].copy())


@compiled_inner
def _slot(keys: Keys, key: int) -> int:
    """Where a key is, or the empty slot where it would be; the table is never full and no key is 0."""
    mask = np.uint64(len(keys) - 1)
    mixed = key * _MULTIPLIER
    slot = (mixed ^ (mixed >> np.uint64(32))) & mask
    while keys[slot] != 0 and keys[slot] != key:
        slot = (slot + _ONE) & mask
    return np.int64(slot)


@compiled
def look_up(table: Keys, wanted: Keys) -> Ints:
    """Slots of keys in a table; -1 for those that it does not hold."""
    slots = np.empty(len(wanted), dtype=np.int64)
    for place in range(len(wanted)):
        slot = _slot(table, wanted[place])
        slots[place] = slot if table[slot] != 0 else -1
    return slots


@compiled
def put_all(table: Keys, wanted: Keys) -> Ints:
    """Puts keys into a table; gives the slot of each."""
    slots = np.empty(len(wanted), dtype=np.int64)
    for place in range(len(wanted)):
        slots[place] = _slot(table, wanted[place])
        table[slots[place]] = wanted[place]
    return slots


@compiled_inner
def _latin_key(codes: Codes, first: int, stop: int) -> int:
    key = np.uint64(0)
    for place in range(first, stop):
        key = (key + np.uint64(codes[place])) * _MULTIPLIER
        key ^= key >> np.uint64(29)
    return key | _ONE


def table_of(words: Iterable[str]) -> Keys:
    """A hash table of words for `capitalised`, at most a quarter full."""
    texts = sorted(set(words))
    starts = np.zeros(len(texts) + 1, dtype=np.int64)
    np.cumsum([len(text) for text in texts], out=starts[1:])
    keys = _latin_keys(np.frombuffer("".join(texts).encode("utf-32-le"), dtype=np.uint32).copy(), starts)
    table = np.zeros(1 << (4 * len(keys)).bit_length(), dtype=np.uint64)
    put_all(table, keys)
    return table


@compiled
def _latin_keys(codes: Codes, starts: Ints) -> Keys:
    keys = np.empty(len(starts) - 1, dtype=np.uint64)
    for text in range(len(keys)):
        keys[text] = _latin_key(codes, starts[text], starts[text + 1])
    return keys


@compiled
def capitalised(codes: Codes, starts: Ints, traits: Ints, table: Keys) -> tuple[NDArray[np.int32], Ints]:
    """Words of a capital and small letters that the table holds: text of each, and where it begins in it."""
    texts, places = np.empty(len(codes) // 2 + 1, np.int32), np.empty(len(codes) // 2 + 1, np.int64)
    count = 0
    for text in range(len(starts) - 1):
        if not traits[text] & CAPITAL:
            continue
        place, stop = starts[text], starts[text + 1]
        while place < stop:
            first = place
            place += 1
            if not _is_upper(codes[first]):
                continue
            while place < stop and _is_lower(codes[place]):
                place += 1
            known = table[_slot(table, _latin_key(codes, first, place))] != 0
            if known and place > first + 1:
                texts[count], places[count] = text, first - starts[text]
                count += 1
    return texts[:count].copy(), places[:count].copy()

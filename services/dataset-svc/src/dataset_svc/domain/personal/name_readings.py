"""What words of Hangul are read as, remembered by hash, and which of them can begin a name where they stand.

A compiled loop looks at every word; `person_names` decides on the few that it leaves.
"""
# ruff: noqa: PLR1714 - membership tests make the compiled loops several times slower
# numpy's scalars are the integers of compiled loops:
# pyright: reportArgumentType=false, reportReturnType=false

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dataset_svc.domain.personal.korean_names import SURE_SURNAMES
from dataset_svc.domain.personal.name_cues import FOREIGN_LINKS
from dataset_svc.domain.personal.name_shapes import Word, foreign_tail, is_weak_name_alone, read_words
from dataset_svc.domain.personal.scanning import (
    HONOURED,
    Codes,
    HangulWords,
    Ints,
    Keys,
    Scan,
)
from dataset_svc.domain.personal.word_keys import look_up, put_all
from loopwright.compiling import compiled, compiled_inner

_MOST_WORDS: Final = 1 << 17
_TECHNICAL_SHARE: Final = 12  # one word in twelve makes technical prose
# a word in bits: syllables of the name, its surety, and what else it is
_LENGTH, _SURETY, _SURETIES = 0xF, 4, 7
_FOREIGN, _BARE, _TITLED, _TITLE, _ROLE, _TECHNICAL, _SURNAME, _LINK, _SURE_SURNAME = (1 << bit for bit in range(7, 16))
# a weak name that needs nothing beside it; a name whose whole could come before a family name; a word within names
_ALONE, _WHOLE, _OF = (1 << bit for bit in range(16, 19))
_DOUBTFUL, _WEAK, _LIKELY, _SURE = 1, 2, 3, 4
# words that decide on a name beside its first one: a role before, four words and a title behind
_BEFORE, _AFTER = 2, 6
_LINKS = ("전", "모", "신임", "현")


class _Seen(NamedTuple):
    """Words of all texts in order, and how each is read."""

    words: HangulWords
    bits: NDArray[np.int32]
    codes: Codes
    starts: Ints


class _Begins(NamedTuple):
    """Which words can begin a name, and which texts are technical prose."""

    starting: NDArray[np.bool_]
    strict: NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadText:
    """The words of one text in which a name may stand, those near one at which it can begin.

    Attributes:
        firsts: Where each word begins in `content`.
        ends: Where it ends.
        strict: The text is technical prose.
        starting: Words at which a name can begin, as far as their neighbours tell.
    """

    content: str
    words: list[Word]
    firsts: list[int]
    ends: list[int]
    strict: bool
    starting: list[int]

    def spelt(self, word: int) -> str:
        return self.content[self.firsts[word] : self.ends[word]]

    def between(self, word: int) -> str:
        """What stands between a word and the next one."""
        return self.content[self.ends[word] : self.firsts[word + 1]]

    def before(self, word: int) -> str:
        """The character before a word; empty at the beginning."""
        first = self.firsts[word]
        return self.content[first - 1 : first] if first else ""


class Readings:
    """Remembers how words are read, up to a bound; reading is many times slower than looking up."""

    def __init__(self) -> None:
        self._forget(_MOST_WORDS)

    def _forget(self, room: int) -> None:
        slots = 1 << (4 * max(room, _MOST_WORDS) - 1).bit_length()
        self._table: Keys = np.zeros(slots, dtype=np.uint64)
        self._numbers = np.zeros(slots, dtype=np.int32)
        self._bits = np.zeros(slots, dtype=np.int32)
        self._words: list[Word] = []
        self._room = max(room, _MOST_WORDS)

    def read(self, texts: Sequence[str], seen: Scan) -> dict[int, ReadText]:
        """The texts in which a Hangul name can begin, by number.

        Args:
            texts: As they are read plainly.
        """
        slots = self._slots(texts, seen)
        words, bits = seen.words, self._bits[slots]
        begins = _Begins(*_starting(_Seen(words=words, bits=bits, codes=seen.codes, starts=seen.starts)))
        wanted = (seen.traits & HONOURED) != 0
        wanted[words.text[begins.starting]] = True
        return self._read_texts(texts, seen, slots, begins, np.flatnonzero(wanted))

    def _read_texts(
        self, contents: Sequence[str], seen: Scan, slots: Ints, begins: _Begins, wanted: Ints
    ) -> dict[int, ReadText]:
        """Makes lists of all words at once, since lists are cut in a fraction of the time that arrays take."""
        kept = np.flatnonzero(_near(seen.words.text, begins.starting, (seen.traits & HONOURED) != 0))
        texts, starting = seen.words.text[kept], begins.starting[kept]
        readings = list(map(self._words.__getitem__, self._numbers[slots[kept]].tolist()))
        relative = seen.words.first[kept] - seen.starts[texts]
        firsts, ends = relative.tolist(), (relative + seen.words.length[kept]).tolist()
        bounds = np.searchsorted(texts, wanted)
        starts_at = np.flatnonzero(starting)
        starts_bounds = np.append(np.searchsorted(starts_at, bounds), len(starts_at)).tolist()
        cuts = pairwise([*bounds.tolist(), len(texts)])
        return {
            text: ReadText(
                content=contents[text],
                words=readings[first:stop],
                firsts=firsts[first:stop],
                ends=ends[first:stop],
                strict=strict,
                starting=[
                    place - first for place in starts_at[starts_bounds[number] : starts_bounds[number + 1]].tolist()
                ],
            )
            for number, (text, (first, stop), strict) in enumerate(
                zip(wanted.tolist(), cuts, begins.strict[wanted].tolist(), strict=True)
            )
        }

    def _slots(self, texts: Sequence[str], seen: Scan) -> Ints:
        keys = seen.words.key
        slots = look_up(self._table, keys)
        unread = np.flatnonzero(slots < 0)
        if not len(unread):
            return slots
        new, places = np.unique(keys[unread], return_index=True)
        if len(self._words) + len(new) > self._room:
            new, places = np.unique(keys, return_index=True)
            unread = np.arange(len(keys))
            self._forget(len(new))
        self._remember(new, [_word_at(texts, seen, int(unread[place])) for place in places])
        return look_up(self._table, keys)

    def _remember(self, keys: Keys, words: Sequence[str]) -> None:
        slots = put_all(self._table, keys)
        readings = read_words(words)
        self._numbers[slots] = np.arange(len(self._words), len(self._words) + len(words))
        self._bits[slots] = [_bits_of(word, reading) for word, reading in zip(words, readings, strict=True)]
        self._words += readings


def _word_at(texts: Sequence[str], seen: Scan, word: int) -> str:
    text = int(seen.words.text[word])
    first = int(seen.words.first[word] - seen.starts[text])
    return texts[text][first : first + int(seen.words.length[word])]


def _bits_of(word: str, reading: Word) -> int:
    facts = (
        (_FOREIGN, reading.foreign),
        (_BARE, reading.bare),
        (_TITLED, reading.titled),
        (_TITLE, reading.title),
        (_ROLE, reading.role),
        (_TECHNICAL, reading.technical),
        (_SURNAME, reading.surname),
        (_LINK, word in _LINKS or word.startswith("모씨")),
        (_SURE_SURNAME, word[0] in SURE_SURNAMES),
        (_ALONE, reading.surety == _WEAK and is_weak_name_alone(reading, word[: reading.length])),
        (_WHOLE, reading.foreign and reading.bare and reading.surety <= _WEAK and foreign_tail(word) == len(word)),
        (_OF, word in FOREIGN_LINKS),
    )
    return sum(bit for bit, holds in facts if holds) | reading.length | reading.surety << _SURETY


@compiled
def _near(texts: NDArray[np.int32], starting: NDArray[np.bool_], whole: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which words are looked at: those around one at which a name can begin, and of some texts all."""
    near = np.zeros(len(texts), np.bool_)
    for word in range(len(texts)):
        if whole[texts[word]]:
            near[word] = True
        elif starting[word]:
            for at in range(max(0, word - _BEFORE), min(word + _AFTER + 1, len(texts))):
                near[at] |= texts[at] == texts[word]
    return near


@compiled
def _starting(seen: _Seen) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which words can begin a name, and which texts are technical prose."""
    texts, bits = seen.words.text, seen.bits
    words, technical = np.zeros(len(seen.starts) - 1, np.int64), np.zeros(len(seen.starts) - 1, np.int64)
    for word in range(len(bits)):
        words[texts[word]] += 1
        technical[texts[word]] += (bits[word] & _TECHNICAL) != 0
    strict = technical * _TECHNICAL_SHARE > words
    starting = np.zeros(len(bits), np.bool_)
    for word in range(len(bits)):
        if bits[word] & (_LENGTH | _SURNAME):
            starting[word] = _can_begin(seen, word, strict[texts[word]])
    return starting, strict


@compiled_inner
def _can_begin(seen: _Seen, word: int, strict: bool) -> bool:  # noqa: FBT001 (numba)
    own = seen.bits[word]
    after = seen.bits[word + 1] if word + 1 < len(seen.bits) and _adjoins(seen, word) else np.int32(0)
    if own & _SURNAME:
        return (after & (_TITLE | _LINK)) != 0 or (not strict and _is_given(after))
    surety = _surety_of(own)
    if surety == _DOUBTFUL or (surety == _WEAK and not (strict or own & _ALONE)):
        return not strict and _may_be_made_sure(seen, word, after)
    if own & _FOREIGN:
        return not strict or _sureness_ahead(seen, word) >= _LIKELY
    if own & _LENGTH == 1:
        return not strict or (own & _SURE_SURNAME) != 0
    if not strict or surety == _SURE:
        return True
    return surety == _LIKELY and (own & _LENGTH) > 2 and _may_have_cue(seen, word, after)


@compiled_inner
def _surety_of(word: int) -> int:
    return (word >> _SURETY) & _SURETIES


@compiled_inner
def _is_given(word: int) -> bool:
    return word & _LENGTH == 2 and _surety_of(word) == _LIKELY and not word & _FOREIGN


@compiled_inner
def _may_be_made_sure(seen: _Seen, word: int, after: int) -> bool:
    """Whether anything beside a weak or doubtful name could tell that it is one."""
    if _may_have_cue(seen, word, after):
        return True
    own = seen.bits[word]
    if own & _FOREIGN:
        return own & _BARE != 0 and _may_go_on(seen, word, after)
    return _may_be_in_row(seen, word) or _may_be_explained(seen, word)


@compiled_inner
def _may_go_on(seen: _Seen, word: int, after: int) -> bool:
    """Whether a further word of a foreign name could stand behind one."""
    if after & _OF or (after & _LENGTH and (after & _FOREIGN or _surety_of(after) <= _WEAK)):
        return True
    return seen.bits[word] & _WHOLE != 0 and word + 1 < len(seen.bits) and _adjoins(seen, word)


@compiled_inner
def _may_be_explained(seen: _Seen, word: int) -> bool:
    """Whether a bracket follows a full name at once."""
    own, place = seen.bits[word], seen.words.first[word] + seen.words.length[word]
    if not own & _BARE or own & _LENGTH <= 2 or place == seen.starts[seen.words.text[word] + 1]:
        return False
    return seen.codes[place] == 0x28


@compiled_inner
def _may_be_in_row(seen: _Seen, word: int) -> bool:
    """Whether a likely name stands beside one; behind a doubtful one a sign must tell as well that they are in a row."""
    own, text = seen.bits[word], seen.words.text[word]
    if word > 0 and seen.words.text[word - 1] == text and _is_in_row(seen.bits[word - 1]):
        return True
    behind = word + 1
    if not own & _BARE or behind == len(seen.bits) or seen.words.text[behind] != text:
        return False
    return _is_in_row(seen.bits[behind]) and (_surety_of(own) == _WEAK or _has_sign(seen, word))


@compiled_inner
def _is_in_row(word: int) -> bool:
    return word & _LENGTH >= 2 and _surety_of(word) >= _LIKELY


@compiled_inner
def _has_sign(seen: _Seen, word: int) -> bool:
    """A comma, a dot, a slash or a bracket beside it, or a name before it."""
    if word > 0 and seen.bits[word - 1] & _LENGTH:
        return True
    first = seen.words.first[word]
    end = first + seen.words.length[word]
    text = seen.words.text[word]
    return _parts(seen, text, first - 1) or _parts(seen, text, first - 2) or _parts(seen, text, end)


@compiled_inner
def _parts(seen: _Seen, text: int, place: int) -> bool:
    if not seen.starts[text] <= place < seen.starts[text + 1]:
        return False
    code = seen.codes[place]
    return code == 0x2C or code == 0xB7 or code == 0x2F or code == 0x28


@compiled_inner
def _adjoins(seen: _Seen, word: int) -> bool:
    words = seen.words
    end = words.first[word] + words.length[word]
    if words.text[word + 1] != words.text[word] or words.first[word + 1] - end != 1:
        return False
    return seen.codes[end] == 0x20 or seen.codes[end] == 0xB7


@compiled_inner
def _sureness_ahead(seen: _Seen, word: int) -> int:
    """The highest surety of the word and the three after it in its text."""
    best = 0
    for at in range(word, min(word + 4, len(seen.bits))):
        if seen.words.text[at] == seen.words.text[word]:
            best = max(best, _surety_of(seen.bits[at]))
    return best


@compiled_inner
def _may_have_cue(seen: _Seen, word: int, after: int) -> bool:
    """A title behind, a role before, or a digit near enough to be an age."""
    own = seen.bits[word]
    if own & _TITLED or after & _TITLE:
        return True
    if word > 0 and seen.words.text[word - 1] == seen.words.text[word] and seen.bits[word - 1] & _ROLE:
        return True
    end = seen.words.first[word] + seen.words.length[word]
    stop = min(end + 4, seen.starts[seen.words.text[word] + 1])
    digits = 0
    for place in range(end, stop):
        digits += 0x30 <= seen.codes[place] <= 0x39
    return digits > 0

"""Finds names of persons in Korean and English text by lexicons, word shapes and neighbours; no model.

In technical prose a name must be sure or stand beside a cue; in other prose its shape and particle are enough.
"""

import re
from collections.abc import Iterator

from dataset_svc.domain.personal.english_names import find_english_names
from dataset_svc.domain.personal.foreign_names import NEVER_ALONE
from dataset_svc.domain.personal.korean_names import COMMON_SURNAMES, DEMONSTRATIVES, SURE_SURNAMES
from dataset_svc.domain.personal.name_shapes import Surety, Word, foreign_tail, read_word

_HANGUL = re.compile("[가-힣]+")
_LETTERED = re.compile(
    r"(?<![A-Za-z0-9.\-_/])[A-Z](?= ?(?:모 ?)?(?:씨|군|양)(?![가-힣])| ?(?:모 ?)?(?:씨|군|양)(?:은|는|이|가|을|를|의|와|과|도|에|만|측)"
    r"|\([0-9]{1,2}[^()]{0,6}\) ?(?:씨|군|양)| (?:기자|의원|교수|대표|회장|원사|경위|경사|선수|감독|여성|남성|할머니)(?![가-힣]{3}))"
)
_AGE = re.compile(r" ?\(?[·]?[0-9]{1,2}(?:세|살|[·,)\]])")
_HONOURED = re.compile(
    r"(?<![가-힣])(?P<name>[가-힣]{2,4})(?: |(?: ?\([0-9]{1,2}[^()]{0,6}\)) ?)(?P<after>씨[가-힣]{0,4})(?![가-힣])"
)
_BLANK = frozenset((" ", "\u00b7"))
# what "이" most often points at
_AFTER_THIS = (
    "양",
    "선생",
    "의사",
    "작가",
    "감사",
    "형",
    "소장",
    "배우",
    "선수",
    "가수",
    "영화",
    "검사",
    "시장",
    "기자",
)
Span = tuple[int, int]


def find_names(text: str) -> list[Span]:
    """Where names stand, from left to right: start and end of each."""
    spans = list(_hangul_names(text))
    if not text.isascii():
        spans += [match.span() for match in _LETTERED.finditer(text)]
    spans += find_english_names(text)
    return spans


def _hangul_names(text: str) -> Iterator[Span]:
    if text.isascii():
        return
    words = [*map(read_word, _HANGUL.findall(text))]
    honoured = _honoured(text)
    starting = [index for index, word in enumerate(words) if word.starting]
    if not (starting or honoured):  # most texts
        return
    places = [match.span() for match in _HANGUL.finditer(text)]
    if honoured:
        starting = [index for index, word in enumerate(words) if word.starting or places[index][0] in honoured]
    strict = sum([word.technical for word in words]) * 12 > len(words)
    free = 0
    for index in starting:
        if index < free:
            continue
        known = places[index][0] in honoured
        last = index if known else _last_of_name(text, places, words, index, strict=strict)
        if last is not None:
            first = _first_of_name(text, places, words, index) if index > free and not strict else index
            length = places[index][1] - places[index][0] if known else _name_length(text, places[last], words[last])
            yield places[first][0], places[last][0] + length
            free = last + 1


def _name_length(text: str, place: Span, word: Word) -> int:
    return word.length or (1 if word.surname else foreign_tail(text[slice(*place)]) or place[1] - place[0])


def _honoured(text: str) -> set[int]:
    """Where a word of two to four syllables stands before "씨": that is a name, whatever its shape."""
    if "씨" not in text:
        return set()
    found = _HONOURED.finditer(text)
    return {match.start() for match in found if _could_be_honoured(match["name"]) and read_word(match["after"]).title}


def _could_be_honoured(text: str) -> bool:
    word = read_word(text)
    return text[1:] != "모" and not (word.title or word.role or word.technical)


def _first_of_name(text: str, places: list[Span], words: list[Word], index: int) -> int:
    """The word before a foreign family name, if it could be the given name."""
    before = index - 1
    word = words[index]
    if not (word.foreign and word.surety is Surety.SURE and _adjoins(text, places, before)):
        return index
    given = text[places[before][0] : places[before][1]]
    return before if len(given) <= 5 and foreign_tail(given) == len(given) and len(given) > 1 else index


def _last_of_name(text: str, places: list[Span], words: list[Word], index: int, *, strict: bool) -> int | None:
    """Index of the word in which a name that starts at `index` ends; None if it is no name."""
    word = words[index]
    if places[index][0] and text[places[index][0] - 1].isascii() and text[places[index][0] - 1].isalnum():
        return None
    if word.surname:
        return _surname_alone(text, places, words, index)
    if word.foreign:
        return _foreign(text, places, words, index, strict=strict)
    return index if _is_korean_name(text, places, words, index, strict=strict) else None


def _surname_alone(text: str, places: list[Span], words: list[Word], index: int) -> int | None:
    """김 대표, 조 전 부사장, 이 모 씨; never "이 대표" where the surname is a word and nothing tells that it is none."""
    surname = text[places[index][0]]
    follow = index + 1
    if not _adjoins(text, places, index):
        return None
    between = text[places[follow][0] : places[follow][1]]
    if between.startswith("모씨"):
        return index
    if between in ("전", "모", "신임", "현") and _adjoins(text, places, follow) and surname != "전":
        return index if words[follow + 1].title else None
    return index if words[follow].title and _is_no_word(surname, between) else None


def _is_no_word(surname: str, title: str) -> bool:
    """Whether the syllable before a title is meant as a surname: not "this", "former" or "Korean"."""
    if surname == "이":
        return not title.startswith(_AFTER_THIS)
    return surname == "신" or surname not in DEMONSTRATIVES or title.startswith(("씨", "군"))


def _foreign(text: str, places: list[Span], words: list[Word], index: int, *, strict: bool) -> int | None:
    """Up to four words of a foreign name; one of them must be known, or the text be no technical prose."""
    last = index
    best = words[index].surety
    while (
        words[last].bare
        and last < index + 3
        and _adjoins(text, places, last)
        and words[last + 1].length
        and (words[last + 1].foreign or words[last + 1].surety is Surety.WEAK)
    ):
        last += 1
        best = max(best, words[last].surety)
    if (
        last == index
        and words[last].bare
        and best >= Surety.LIKELY
        and _adjoins(text, places, last)
        and foreign_tail(text[slice(*places[last + 1])])
    ):
        return last + 1
    cue = _has_cue(text, places, words, index, last)
    if strict:
        sure = best is Surety.SURE and (last > index or cue)
        return last if sure or (cue and best >= Surety.LIKELY and last > index) else None
    if best >= Surety.LIKELY or cue or last > index:
        return last
    stem = text[places[index][0] : places[index][0] + words[index].length]
    if words[index].bare:
        return last if len(stem) >= 3 else None
    return last if len(stem) >= 3 or stem not in NEVER_ALONE else None


def _joined_to_name(text: str, places: list[Span], words: list[Word], index: int) -> bool:
    """Whether the word stands in a row of names: 한석규, 심은하; 톰과 머틀."""
    if not index:
        return False
    between = text[places[index - 1][1] : places[index][0]]
    before = words[index - 1]
    if before.surety < Surety.LIKELY or before.length < 2:
        return False
    return between in (", ", ",", "·", " · ", "/") or (between == " " and text[places[index - 1][1] - 1] in "와과랑")


def _is_korean_name(text: str, places: list[Span], words: list[Word], index: int, *, strict: bool) -> bool:
    word = words[index]
    if word.length == 1:
        return not strict or text[places[index][0]] in SURE_SURNAMES
    cue = _has_cue(text, places, words, index, index)
    if word.length == 2 and word.surety is Surety.WEAK:
        cue = word.titled or (cue and text.startswith(("씨", "양", "군", "님"), places[index][1] + 1))
    if strict:
        return word.surety is Surety.SURE or (cue and word.surety >= Surety.LIKELY and word.length > 2)
    if word.surety >= Surety.LIKELY:
        return word.length > 2 or cue or not word.bare
    return (
        cue
        or _joined_to_name(text, places, words, index)
        or (word.length > 2 and (not word.bare or text[places[index][0]] in COMMON_SURNAMES))
    )


def _has_cue(text: str, places: list[Span], words: list[Word], first: int, last: int) -> bool:
    """A title or honorific behind, a role before, or an age in brackets behind."""
    if words[last].titled:
        return True
    if last + 1 < len(words) and words[last].bare and words[last + 1].title and _adjoins(text, places, last):
        return True
    if first and words[first - 1].role and text[places[first - 1][1] : places[first][0]] in (" ", ": ", ":", " : "):
        return True
    return words[last].bare and _AGE.match(text, places[last][1]) is not None


def _adjoins(text: str, places: list[Span], index: int) -> bool:
    return index + 1 < len(places) and places[index + 1][0] - places[index][1] == 1 and text[places[index][1]] in _BLANK

"""Finds names of persons in Korean and English text by lexicons, a dictionary, word shapes and neighbours.

In technical prose a name must be sure or stand beside a cue; in other prose its shape and particle are enough.
"""

import re
from collections.abc import Iterator, Sequence

import numpy as np

from dataset_svc.domain.personal.english_names import cued_texts, find_english_names, known_given_names
from dataset_svc.domain.personal.foreign_names import AMBIGUOUS_FOREIGN, FOREIGN_NAMES
from dataset_svc.domain.personal.foreign_shapes import is_foreign_stem
from dataset_svc.domain.personal.known_persons import SHORT_GIVEN
from dataset_svc.domain.personal.korean_names import DEMONSTRATIVES, SURE_SURNAMES
from dataset_svc.domain.personal.name_cues import FOREIGN_LINKS, NAMED_ROLES
from dataset_svc.domain.personal.name_readings import Readings, ReadText
from dataset_svc.domain.personal.name_shapes import Word, foreign_tail, is_weak_name_alone, may_be_pair, read_word
from dataset_svc.domain.personal.scanning import LETTERED, Ints, Scan
from dataset_svc.domain.personal.surety import Surety
from dataset_svc.domain.personal.world_names import WORLD_NAMES

_PARTICLE = "(?:(?![가-힣])|은|는|이|가|을|를|의|와|과|도|에|만|측)"
_LETTERED = re.compile(
    rf"(?<![A-Za-z0-9.\-_/])(?:[A-Z](?= ?(?:모 ?)?씨{_PARTICLE}|\([0-9]{{1,2}}[^()]{{0,6}}\) ?(?:씨|군|양)"
    r"| (?:기자|의원|교수|대표|회장|원사|경위|경사|선수|감독|여성|남성|할머니)(?![가-힣]{3}))"
    # X, Y and Z are groups and quantities before the same syllables
    rf"|[A-W](?= ?(?:모 ?)?(?:군|양){_PARTICLE}))"
)
_AGE = re.compile(r" ?\(?[·]?[0-9]{1,2}(?:세|살|[·,)\]])")
_HONOURED = re.compile(
    r"(?<![가-힣])(?P<name>[가-힣]{2,4})(?: |(?: ?\([0-9]{1,2}[^()]{0,6}\)) ?)(?P<after>씨[가-힣]{0,4})(?![가-힣])"
)
# the name again in Chinese characters
_AGAIN = re.compile(r"\s?\([\u4e00-\u9fff]{2,5}\)")
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
_ROW = frozenset((", ", ",", "·", " · ", "/"))
# what tells that a given name stands before it which is a word as well
_AFTER_GIVEN = (
    "씨",
    "양",
    "군",
    "님",
    "오빠",
    "언니",
    "누나",
    "형",
    "이모",
    "삼촌",
    "할머니",
    "할아버지",
    "아저씨",
    "선배",
    "쌤",
)
Span = tuple[int, int]


class NameFinder:
    """Finds names in batches of texts; what words are read as is remembered from batch to batch."""

    def __init__(self) -> None:
        self._readings = Readings()

    def find(self, texts: Sequence[str], seen: Scan, *, cued: Ints | None = None) -> dict[int, list[Span]]:
        """Where names stand, by number of the text: start and end of each, in no order.

        Args:
            texts: As they are read plainly.
            cued: By text, whether it holds a cue of English names (0 if not); None to look for it here.
        """
        names: dict[int, list[Span]] = {}
        for number, text in self._readings.read(texts, seen).items():
            if found := list(_hangul_names(text)):
                names[number] = found
        traits = seen.traits
        for number in np.flatnonzero(traits & LETTERED).tolist():
            names.setdefault(number, []).extend(match.span() for match in _LETTERED.finditer(texts[number]))
        given, before = known_given_names(seen), cued_texts(seen, cued)
        for number in {*given, *before}:
            if found := find_english_names(texts[number], given.get(number, ()), before.get(number, 0)):
                names.setdefault(number, []).extend(found)
        return names


def _hangul_names(text: ReadText) -> Iterator[Span]:
    starting, honoured = text.starting, _honoured(text.content)
    if honoured:
        starting = sorted({*starting, *(index for index, first in enumerate(text.firsts) if first in honoured)})
    free = 0
    for index in starting:
        if index < free:
            continue
        sure = text.firsts[index] in honoured
        last = index if sure else _last_of_name(text, index)
        if last is not None:
            first = _first_of_name(text, index) if index > free and not text.strict else index
            end = text.ends[index] if sure else text.firsts[last] + _name_length(text, last)
            again = _AGAIN.match(text.content, end)
            yield text.firsts[first], again.end() if again else end
            free = last + 1


def _name_length(text: ReadText, index: int) -> int:
    word = text.words[index]
    if word.length or word.surname:
        return word.length or 1
    return foreign_tail(text.spelt(index)) or text.ends[index] - text.firsts[index]


def _honoured(text: str) -> set[int]:
    """Where a word of two to four syllables stands before "씨": that is a name, whatever its shape."""
    if "씨" not in text:
        return set()
    found = _HONOURED.finditer(text)
    return {match.start() for match in found if _could_be_honoured(match["name"]) and read_word(match["after"]).title}


def _could_be_honoured(text: str) -> bool:
    word = read_word(text)
    return text[1:] != "모" and not (word.title or word.role or word.technical)


def _first_of_name(text: ReadText, index: int) -> int:
    """The word before a foreign family name, if it could be the given name."""
    before = index - 1
    word = text.words[index]
    if not (word.foreign and _adjoins(text, before)):
        return index
    given = text.spelt(before)
    if given in FOREIGN_NAMES or given in AMBIGUOUS_FOREIGN or given in WORLD_NAMES or given in SHORT_GIVEN:
        return before
    unknown = word.surety >= Surety.WEAK and 1 < len(given) <= 5
    return before if unknown and foreign_tail(given) == len(given) and is_foreign_stem(given) else index


def _last_of_name(text: ReadText, index: int) -> int | None:
    """Index of the word in which a name that starts at `index` ends; None if it is no name."""
    word = text.words[index]
    before = text.before(index)
    if before.isascii() and before.isalnum():
        return None
    if word.surname:
        return _surname_alone(text, index)
    if word.foreign:
        return _foreign(text, index)
    return index if _is_korean_name(text, index) else None


def _surname_alone(text: ReadText, index: int) -> int | None:
    """김 대표, 조 전 부사장, 이 모 씨; never "이 대표" where the surname is a word and nothing tells that it is none."""
    surname = text.content[text.firsts[index]]
    follow = index + 1
    if not _adjoins(text, index):
        return None
    between = text.spelt(follow)
    if between.startswith("모씨"):
        return index
    if between in ("전", "모", "신임", "현") and _adjoins(text, follow) and surname != "전":
        return index if text.words[follow + 1].title else None
    if _is_given_apart(text.words[follow]):
        return None if text.strict else follow
    return index if text.words[follow].title and _is_no_word(surname, between) else None


def _is_given_apart(word: Word) -> bool:
    """Whether a given name stands apart from its surname: 천 지훈."""
    return word.length == 2 and not word.foreign and word.surety is Surety.LIKELY


def _is_no_word(surname: str, title: str) -> bool:
    """Whether the syllable before a title is meant as a surname: not "this", "former" or "Korean"."""
    if surname == "이":
        return not title.startswith(_AFTER_THIS)
    return surname == "신" or surname not in DEMONSTRATIVES or title.startswith(("씨", "군"))


def _foreign(text: ReadText, index: int) -> int | None:
    """Up to four words of a foreign name; one of them must be known, or the text be no technical prose."""
    last = _last_foreign(text, index)
    best = max(text.words[at].surety for at in range(index, last + 1))
    if last == index and text.words[last].bare and _adjoins(text, last):
        if best >= Surety.LIKELY and foreign_tail(text.spelt(last + 1)):
            return last + 1
        if not text.strict and may_be_pair(text.spelt(last), text.spelt(last + 1)):
            return last + 1
    cue = _has_cue(text, index, last)
    if text.strict:
        sure = best is Surety.SURE and (last > index or cue)
        return last if sure or (cue and best >= Surety.LIKELY and last > index) else None
    return last if last > index or cue or best >= Surety.LIKELY or _is_alone(text, index) else None


def _last_foreign(text: ReadText, index: int) -> int:
    last = index
    while text.words[last].bare and last < index + 3 and _adjoins(text, last):
        following = last + 1
        if text.spelt(following) in FOREIGN_LINKS and _adjoins(text, following):
            following += 1
        if not _goes_on(text.words[following]):
            break
        last = following
    return last


def _goes_on(word: Word) -> bool:
    """Whether a word can be a further one of a foreign name."""
    return word.length > 0 and (word.foreign or word.surety in (Surety.DOUBTFUL, Surety.WEAK))


def _explained(text: ReadText, index: int) -> bool:
    """Whether brackets follow a full name at once: 이문형(서울)."""
    word = text.words[index]
    return word.bare and word.length > 2 and text.content.startswith("(", text.ends[index])


def _beside_name(text: ReadText, index: int) -> bool:
    """Whether a full name stands before or behind: 장혁 신민아 권상우."""
    return any(
        0 <= other < len(text.words)
        and text.words[other].surety is Surety.SURE
        and text.words[other].length > 2
        and text.between(min(other, index)) in (" ", ", ", ",")
        for other in (index - 1, index + 1)
    )


def _joined_to_name(text: ReadText, index: int) -> bool:
    """Whether the word stands in a row of names: 한석규, 심은하; 톰과 머틀; 심은하, 한석규 등."""
    if index and _is_in_row(text.words[index - 1]):
        between = text.between(index - 1)
        if between in _ROW or (between == " " and text.content[text.ends[index - 1] - 1] in "와과랑"):
            return True
    behind = index + 1
    if behind == len(text.words) or not text.words[index].bare or not _is_in_row(text.words[behind]):
        return False
    return text.between(index) in _ROW


def _is_in_row(word: Word) -> bool:
    return word.surety >= Surety.LIKELY and word.length >= 2


def _is_korean_name(text: ReadText, index: int) -> bool:
    word = text.words[index]
    if word.length == 1:
        return not text.strict or text.content[text.firsts[index]] in SURE_SURNAMES
    cue = _has_cue(text, index, index)
    if text.strict:
        return word.surety is Surety.SURE or (cue and word.surety >= Surety.LIKELY and word.length > 2)
    if word.surety is Surety.DOUBTFUL:
        return cue or _joined_to_name(text, index) or _explained(text, index)
    if word.surety is Surety.WEAK:
        return _is_weak_name(text, index, cue=cue)
    return word.surety is Surety.SURE or word.length > 2 or cue or not word.bare or _beside_name(text, index)


def _is_weak_name(text: ReadText, index: int, *, cue: bool) -> bool:
    word = text.words[index]
    if _joined_to_name(text, index) or _is_alone(text, index):
        return True
    if word.length > 2:
        return cue
    return word.titled or (cue and text.content.startswith(_AFTER_GIVEN, text.ends[index] + 1))


def _is_alone(text: ReadText, index: int) -> bool:
    word = text.words[index]
    return is_weak_name_alone(word, text.spelt(index)[: word.length])


def _has_cue(text: ReadText, first: int, last: int) -> bool:
    """A title or honorific behind, a role before, or an age in brackets behind."""
    if text.words[last].titled:
        return True
    if last + 1 < len(text.words) and text.words[last].bare and text.words[last + 1].title and _adjoins(text, last):
        return True
    if first and _has_role(text, first):
        return True
    return text.words[last].bare and _AGE.match(text.content, text.ends[last]) is not None


def _has_role(text: ReadText, index: int) -> bool:
    """Whether what somebody is stands before a name."""
    word = text.words[index]
    if not text.words[index - 1].role or text.between(index - 1) not in (" ", ": ", ":", " : "):
        return False
    return word.surety > Surety.DOUBTFUL or word.length > 2 or text.spelt(index - 1) in NAMED_ROLES


def _adjoins(text: ReadText, index: int) -> bool:
    return index + 1 < len(text.words) and text.between(index) in _BLANK

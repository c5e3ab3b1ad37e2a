"""What one Hangul word could be, seen alone: a Korean or foreign name with particles, a title, a word of technical prose.

The readings of a word are remembered, for texts repeat their words.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

from dataset_svc.domain.personal.borrowed_words import BORROWED
from dataset_svc.domain.personal.common_words import WORDS
from dataset_svc.domain.personal.foreign_names import NEVER_ALONE
from dataset_svc.domain.personal.foreign_odds import foreign_odds
from dataset_svc.domain.personal.foreign_shapes import (
    ALL_FOREIGN,
    FAMILY,
    WORLD,
    are_pair,
    is_foreign_stem,
    sounds_native,
)
from dataset_svc.domain.personal.given_odds import given_odds
from dataset_svc.domain.personal.known_persons import SHORT_GIVEN
from dataset_svc.domain.personal.korean_names import AMBIGUOUS_GIVEN, COMMON_SURNAMES, GIVEN_NAMES, SURE_SURNAMES
from dataset_svc.domain.personal.korean_shapes import SURE_GIVEN, SURNAMES, is_word_form, korean_surety
from dataset_svc.domain.personal.morphemes import Firsts, begin_with_persons, firsts_of, is_joining_verb
from dataset_svc.domain.personal.name_cues import (
    BEHIND_NAMES,
    HONORIFICS,
    OF_PERSONS,
    PARTICLES,
    ROLES,
    TECHNICAL,
    TITLES,
    agrees,
)
from dataset_svc.domain.personal.short_words import SHORT_WORDS
from dataset_svc.domain.personal.surety import Surety

_LONGEST_NAME = 14
_LONGEST_WORD = 24
_ALL_TITLES = TITLES | frozenset(HONORIFICS)
_TITLE_LENGTHS = range(1, max(map(len, _ALL_TITLES)) + 1)
_TITLE_HEADS = frozenset(one[0] for one in _ALL_TITLES) | {"모"}
# what the end of a word can be behind a name: a particle or nothing, a title or honorific, what only persons have, what is
# written behind names without a space
_PARTICLE, _HONOURED, _OF_PERSON, _GLUED = 1, 2, 4, 8
# odds by the dictionary that a word begins with a name: nine in ten, one in two, one in fifty
_MOSTLY, _AS_NOT, _HARDLY = 2.2, 0.0, -3.9
_KNOWN = 3.3  # odds of a foreign name of two syllables that needs nothing beside it
# what a syllable of ordinary words costs at most, and of what is hardly made of words at least, in logarithms of likelihoods
_ORDINARY, _STRANGE = 0.5, 1.6
_GIVEN = -1.5  # odds from which two syllables can be a given name behind a surname
# syllables that forms of verbs begin with which follow on others: 전해주는, 여겨진다, 차려낸
_SECOND_VERBS = frozenset("주준줄줘줬지진질져졌오온올와왔보본볼봐봤내낸낼냈두둔둘둬뒀가간갈갔놓놔")
_OF_VERBS = ("다", "지만", "나", "던", "네")  # particles that verbs have more often: 모른다, 안나지만
_TAIL = 0.0  # odds from which a word can be a family name behind a given one


@dataclass(frozen=True, slots=True)
class Word:
    """One reading of a word.

    Attributes:
        length: Syllables of the name at its beginning; 0 if it is none.
        surety: Of the name.
        foreign: The name is of another language.
        bare: Nothing follows the name within the word.
        titled: An honorific or title follows the name within the word.
        title: The word is a title with or without particles.
        role: The word is something that people are, and stands before names.
        technical: The word belongs to technical prose.
        surname: The word is one syllable, a surname.
    """

    length: int = 0
    surety: Surety = Surety.NONE
    foreign: bool = False
    bare: bool = False
    titled: bool = False
    title: bool = False
    role: bool = False
    technical: bool = False
    surname: bool = False


_NO_NAME: Final = Word()


@lru_cache(maxsize=1 << 17)
def read_word(word: str) -> Word:
    """The most likely reading of a word of Hangul."""
    return read_words([word])[0]


def read_words(words: Sequence[str]) -> list[Word]:
    """The most likely readings of words of Hangul."""
    return list(map(_read, words, begin_with_persons(words)))


def _read(word: str, known: bool) -> Word:  # noqa: FBT001
    """Reads a word.

    Args:
        known: The dictionary holds a name at its beginning.
    """
    if len(word) > _LONGEST_WORD:
        return _NO_NAME
    role = word in ROLES or (word[-1] in "은는인의" and word[:-1] in ROLES)
    title = _is_title(word)
    if _is_technical(word):
        return Word(technical=True, title=title)
    if len(word) == 1:
        return _read_syllable(word, title=title, role=role)
    if title or role:
        return Word(title=title, role=role)
    if _is_borrowed(word):
        return _NO_NAME
    best = _best_name(word)
    return _weighed(word, best) if known or best.length > 1 else best


def _read_syllable(word: str, *, title: bool, role: bool) -> Word:
    foreign = word in SHORT_GIVEN and not title
    return Word(
        length=int(foreign),
        surety=Surety.DOUBTFUL if foreign else Surety.NONE,
        foreign=foreign,
        bare=foreign,
        surname=word in COMMON_SURNAMES,
        title=title,
        role=role,
    )


def _best_name(word: str) -> Word:
    """The longest of the surest names at the beginning."""
    best = _NO_NAME
    for length in range(min(len(word), _LONGEST_NAME), 1, -1):
        if rest := _rest(word[length:]):
            reading = _read_name(word, length, rest)
            if reading is not None and reading.surety > best.surety:
                best = reading
    if best.surety < Surety.LIKELY and _is_surname_with_title(word):
        return Word(length=1, surety=Surety.LIKELY, titled=True)
    return best


def _weighed(word: str, own: Word) -> Word:
    """A reading beside what the dictionary holds: a name that it knows, or hardly one since it knows words."""
    firsts = firsts_of(word)
    reading = own if own.surety is Surety.SURE else _known_or_not(word, own, firsts)
    if reading.length < 2 or reading.titled:
        return reading
    if reading.surety <= Surety.WEAK and _is_hardly_words(word, reading, firsts):
        return replace(reading, surety=Surety.LIKELY)
    is_rather_words = (
        _is_row_of_words(word, reading, firsts) if reading.foreign else _is_two_verbs(word, reading, firsts)
    )
    return replace(reading, surety=Surety.DOUBTFUL) if is_rather_words else reading


def _known_or_not(word: str, own: Word, firsts: Firsts) -> Word:
    if own.length > 1 and firsts.is_word(own.length) and firsts.odds(own.length) < _HARDLY:
        return replace(own, surety=Surety.DOUBTFUL) if own.foreign or own.surety >= Surety.LIKELY else _NO_NAME
    if own.surety >= Surety.LIKELY:
        return own
    length = firsts.likeliest()
    surety = _surety_by_dictionary(word, length, firsts.odds(length)) if length > 1 else Surety.NONE
    if surety <= own.surety or own.length > length:
        return own
    rest = word[length:]
    korean = length == 3 and word[0] in SURNAMES and given_odds(word[1:3]) > _GIVEN
    return Word(length=length, surety=surety, foreign=not korean, bare=not rest, titled=_is_honoured(rest))


def _is_hardly_words(word: str, reading: Word, firsts: Firsts) -> bool:
    """Whether a name that would need more beside it is likelier than anything else by far: 춘희, 핫세가, 정세로가."""
    stem, rest = word[: reading.length], word[reading.length :]
    if word[:2] in SHORT_WORDS or stem in BORROWED or rest.startswith(_OF_VERBS):
        return False
    if reading.length == 2:
        return firsts.odds(2) >= _KNOWN if reading.foreign else given_odds(stem) >= 0
    return reading.length == 3 and not reading.foreign and firsts.cost_of_words() >= _STRANGE * len(word)


def _is_two_verbs(word: str, reading: Word, firsts: Firsts) -> bool:
    """Whether a Korean name could as well be two verbs: 정해진, 나눠준."""
    if reading.length != 3 or word[2] not in _SECOND_VERBS or not is_joining_verb(word[:2]):
        return False
    return firsts.odds(3) < _MOSTLY


def _is_row_of_words(word: str, reading: Word, firsts: Firsts) -> bool:
    """Whether a foreign name that is not known could as well be native words in a row: 올바르지, 클립보드로."""
    return reading.length > 2 and reading.surety < Surety.SURE and firsts.cost_of_words() < _ORDINARY * len(word)


def _surety_by_dictionary(word: str, length: int, odds: float) -> Surety:
    stem = word[:length]
    fits = _rest(word[length:]) & (_PARTICLE | _HONOURED)
    if odds < (_AS_NOT if fits else _MOSTLY) or (length == 2 and not fits):
        return Surety.NONE
    if stem in BORROWED or (length == 3 and is_word_form(stem)):
        return Surety.DOUBTFUL
    if odds < _MOSTLY:
        return Surety.WEAK if length > 2 else Surety.NONE
    return Surety.SURE if length > 2 else Surety.DOUBTFUL


@lru_cache(maxsize=1 << 15)
def foreign_tail(word: str) -> int:
    """Syllables of a family name that could follow a foreign given name: 뎁이 → 1; 0 if none could."""
    if read_word(word).title or read_word(word).role or read_word(word).technical:
        return 0
    # a particle that fits is one: 뎁이 is 뎁 with a particle, but 레이 is whole
    for length in (*range(len(word) - 1, 0, -1), len(word)):
        stem, rest = word[:length], word[length:]
        if rest and not (rest in PARTICLES and agrees(stem, rest)):
            continue
        if stem in BORROWED or stem[:2] in SHORT_WORDS or sounds_native(stem):
            continue
        if FAMILY.issuperset(stem) or (length > 1 and (stem in WORLD or foreign_odds(stem) >= _TAIL)):
            return length
    return 0


@lru_cache(maxsize=1 << 14)
def may_be_pair(given: str, family: str) -> bool:
    """Whether two words that hardly look like names by themselves do together: 로켈 바딘."""
    length = foreign_tail(family)
    return length > 0 and foreign_tail(given) == len(given) and are_pair(given, family[:length])


def is_weak_name_alone(word: Word, stem: str) -> bool:
    """Whether a weak or doubtful name is taken for one in plain prose with nothing beside it: one that is long, or no word.

    Args:
        stem: The syllables of the name.
    """
    if word.foreign:
        return word.surety is not Surety.DOUBTFUL and (len(stem) >= 3 or not (word.bare or stem in NEVER_ALONE))
    if word.length > 2:
        return not word.bare or stem[0] in COMMON_SURNAMES
    return not (word.bare or stem in SHORT_WORDS or stem in AMBIGUOUS_GIVEN or stem.endswith("니"))


@lru_cache(maxsize=1 << 15)
def _rest(text: str) -> int:
    """What the end of a word can be behind the syllables of a name, in bits. There are few ends, beside the stems before them."""
    return (
        _PARTICLE * (not text or text in PARTICLES)
        | _HONOURED * _is_honoured(text)
        | _OF_PERSON * text.startswith(OF_PERSONS)
        | _GLUED * text.startswith(BEHIND_NAMES)
    )


def _is_title(word: str) -> bool:
    return word in TITLES or (word[0] in _TITLE_HEADS and _begins_with_title(word))


def _begins_with_title(word: str) -> bool:
    """A title or honorific with a particle."""
    for length in _TITLE_LENGTHS:  # noqa: SIM110 - half the time of any() over a generator, here and below
        if word[:length] in _ALL_TITLES and word[length:] in PARTICLES:
            return True
    return False


def _is_technical(word: str) -> bool:
    for length in range(min(5, len(word)), 1, -1):
        if word[:length] in TECHNICAL and (length > 2 or length == len(word) or word[length:] in PARTICLES):
            return True
    return False


def _is_borrowed(word: str) -> bool:
    """A borrowed word with a particle."""
    for length in range(2, len(word)):  # noqa: SIM110
        if word[:length] in BORROWED and word[length:] in PARTICLES:
            return True
    return False


def _read_name(word: str, length: int, rest: int) -> Word | None:
    """A name of two syllables or more.

    Args:
        rest: What the word's end can be.
    """
    stem = word[:length]
    titled = rest & _HONOURED != 0 and (length > 2 or _may_honour(stem, word[2:]))
    titled = titled or (rest & _OF_PERSON != 0 and stem not in SHORT_WORDS)
    glued = rest & _GLUED != 0
    if not (rest & _PARTICLE or titled or glued):
        return None
    korean = korean_surety(word, stem, word[length:])
    # templates put any particle behind a full name: 윤민기이 제출한
    full = korean >= Surety.LIKELY and length > 2 and stem[-2:] in GIVEN_NAMES
    bare = length == len(word)
    if not (bare or titled or glued or full or agrees(stem, word[length:])):
        return None
    foreign = is_foreign_stem(stem) if korean < Surety.LIKELY else Surety.NONE
    surety = max(korean, foreign)
    if glued and not titled and (surety < Surety.LIKELY or (length == 2 and stem not in SURE_GIVEN)):
        return None
    if surety is Surety.NONE:
        if not (titled and length == 3 and word.startswith(("씨", "모씨"), 3) and stem[0] in SURNAMES):
            return None
        surety = Surety.WEAK
    return Word(length=length, surety=surety, foreign=foreign > korean, bare=bare, titled=titled or glued)


def _may_honour(stem: str, title: str) -> bool:
    """Whether a title behind two syllables within a word can make them a name: not 미래형."""
    if title.startswith("형") and stem in SHORT_WORDS:
        return False
    return title.startswith(HONORIFICS) or stem in ALL_FOREIGN


def _is_surname_with_title(word: str) -> bool:
    """박씨는, 김모씨; longer titles only behind surnames that begin no such word: 김위원장, but 주차장."""
    surname, rest = word[0], word[1:]
    if surname not in SURNAMES or not _is_honoured(rest):
        return False
    if rest.startswith(("씨", "모")) and (surname in COMMON_SURNAMES or (rest[0] == "씨" and surname != "모")):
        return True
    return len(rest) > 1 and surname in SURE_SURNAMES and rest[:2] not in ("님", "형님") and word[:3] not in WORDS


def _is_honoured(rest: str) -> bool:
    if not rest or rest[0] not in _TITLE_HEADS:
        return False
    return rest.startswith("모씨") or rest in ("모", "모의") or rest in _ALL_TITLES or _begins_with_title(rest)

"""How much a stem of Hangul looks like a Korean name, by its surname, its given name, and the words that it could be."""

from typing import Final

from dataset_svc.domain.personal.common_words import WORDS
from dataset_svc.domain.personal.given_odds import given_odds
from dataset_svc.domain.personal.known_persons import KNOWN_KOREANS, SHORT_KOREANS
from dataset_svc.domain.personal.korean_names import (
    AMBIGUOUS_GIVEN,
    COMMON_SURNAMES,
    DOUBLE_SURNAMES,
    FAMOUS,
    GIVEN_NAMES,
    RARE_SURNAMES,
    SURE_SURNAMES,
    TYPICAL,
)
from dataset_svc.domain.personal.lexicon import lexicon
from dataset_svc.domain.personal.name_cues import agrees
from dataset_svc.domain.personal.short_words import SHORT_WORDS
from dataset_svc.domain.personal.stage_names import STAGE_NAMES, SURE_STAGE_NAMES
from dataset_svc.domain.personal.surety import Surety

# that two syllables end with which are a word of one with a particle, or a verb: 강은, 말로, 쉬게, 틀린
WORD_ENDS: Final = frozenset("은을를는이로게고서던면며린된진긴인딘")
SURNAMES: Final = COMMON_SURNAMES | RARE_SURNAMES
SURE_GIVEN: Final = GIVEN_NAMES - AMBIGUOUS_GIVEN
# syllables that are particles as well: "정도의" is no name
_PARTICLE_SYLLABLES = frozenset("은의이도로만나인지고서가아라기에야을다")
_PARTICLES_OF_WORDS = frozenset("은의이도로만가에을를와과")
# that lengthen words: particles, and what makes kinds, qualities and people of things
_LENGTHENING = _PARTICLE_SYLLABLES | frozenset("성적화자권형식제상장경원중률율용수선표창점실판력법론품류")
# surnames that hardly ever stand before a word to lengthen it, as in 신기술, 고소득
_NO_PREFIXES = frozenset("김박최윤황홍권류엄허안임장오서송문배백심곽변염")
_VERBAL = frozenset("한해할하되된될")
# that particles and forms of "to do" begin with, and what makes of a word what somebody is
_FORMS = _VERBAL | frozenset("함은의이만로")
_TO_BE = ("며", "고", "다", "라", "었", "지만", "므로")  # behind "이"
_OBJECTS = frozenset("을를에가")
_QUALITIES = frozenset("인일자형")
# of two syllables that end words of three and are no given names
_ENDINGS = lexicon(
    "에서 에게 에는 에도 까지 부터 려면 려고 려는 더라 더니 면서 거나 든지 지만 니까 도록 시오 세요 으로 이나 이며 이고 이다"
)
# full names of two syllables that are hardly ever words
_SHORT_SURNAMES = frozenset("김박최장허윤황권강조")
_SHORT_GIVEN = frozenset("혁훈준현빈철찬욱균엽웅윤")
# odds from which a given name is taken for one: alone, behind a surname, behind one that begins few words, behind a rare one
_LIKELY_ALONE, _WEAK_ALONE, _LIKELY_FULL, _WEAK_FULL, _WEAK_SURE, _WEAK_RARE = 3.0, 1.5, 2.0, -1.5, -5.0, 1.0
# and where the name could be a word with one more syllable
_ODDS_BEHIND_WORD, _ODDS_OF_WORD = 0.4, -2.0


def korean_surety(word: str, stem: str, rest: str) -> Surety:
    """Of the stem of a word, and the rest of the word behind it."""
    if stem in FAMOUS or stem in SURE_STAGE_NAMES or stem in KNOWN_KOREANS:
        return Surety.SURE
    if stem in STAGE_NAMES or stem in SHORT_KOREANS:
        return max(Surety.DOUBTFUL, _shape_surety(word, stem, rest))
    return _shape_surety(word, stem, rest)


def _shape_surety(word: str, stem: str, rest: str) -> Surety:
    if word[:3] in WORDS or word[:4] in WORDS or _is_verb(stem, rest) or word[1:3] in _ENDINGS:
        return Surety.NONE
    if len(stem) == 2:
        return _short_surety(stem)
    if len(stem) == 3 and stem[:2] in DOUBLE_SURNAMES and stem[2] in TYPICAL:
        return Surety.LIKELY
    if len(stem) == 3 and stem[1:] not in GIVEN_NAMES and is_word_form(stem, _FORMS | _OBJECTS):
        return Surety.NONE
    if len(stem) == 3 and stem[0] in SURNAMES:
        surety = _given_surety(stem[0], stem[1:], rest)
        return min(surety, Surety.DOUBTFUL) if _is_lengthened(stem) else surety
    return _given_surety(stem[:2], stem[2:], rest) if len(stem) == 4 and stem[:2] in DOUBLE_SURNAMES else Surety.NONE


def _is_lengthened(stem: str) -> bool:
    """A word of two syllables with one more before or behind it: 위험이, 공표하, 전라권, 신기술."""
    given = stem[1:]
    if given in GIVEN_NAMES:
        if given in AMBIGUOUS_GIVEN and stem[2] in _PARTICLES_OF_WORDS and stem[:2] in SHORT_WORDS:
            return True
        return stem[0] not in _NO_PREFIXES and is_word_form(stem, _FORMS | _QUALITIES)
    if stem[:2] in SHORT_WORDS:
        return stem[2] in _LENGTHENING or given in SHORT_WORDS or given_odds(given) < _ODDS_BEHIND_WORD
    return given in SHORT_WORDS and given_odds(given) < (
        _ODDS_OF_WORD if stem[0] in _NO_PREFIXES else _ODDS_BEHIND_WORD
    )


def is_word_form(stem: str, endings: frozenset[str] = _FORMS) -> bool:
    """Whether three syllables are rather a word of two with a particle or a verb behind it: 이상의, 이용한, 구현이."""
    if stem[:2] not in SHORT_WORDS or stem[2] not in endings:
        return False
    return stem[2] not in "은이" or agrees(stem[:2], stem[2])


def _short_surety(stem: str) -> Surety:
    """Two syllables: a given name alone, or one after a surname that begins few words."""
    if stem in DOUBLE_SURNAMES and stem not in GIVEN_NAMES:
        return Surety.NONE
    if stem[0] in _SHORT_SURNAMES and stem[1] in _SHORT_GIVEN:
        return Surety.LIKELY
    if stem in SHORT_WORDS:
        return Surety.WEAK if stem in GIVEN_NAMES else Surety.NONE
    if stem in GIVEN_NAMES or (stem[0] in SURE_SURNAMES and stem[1] in TYPICAL):
        return Surety.WEAK if stem in AMBIGUOUS_GIVEN else Surety.LIKELY
    likely = _LIKELY_ALONE if TYPICAL.issuperset(stem) else None
    return Surety.NONE if stem[1] in WORD_ENDS else _surety_by_odds(stem, likely, _WEAK_ALONE)


def _given_surety(surname: str, given: str, rest: str) -> Surety:
    common = surname in COMMON_SURNAMES or len(surname) == 2
    if given in GIVEN_NAMES:
        sure = given not in AMBIGUOUS_GIVEN
        if common:
            return Surety.SURE if sure else Surety.LIKELY
        return Surety.LIKELY if sure and given[1] not in _PARTICLE_SYLLABLES else Surety.WEAK
    if given[1] in _VERBAL:
        return Surety.NONE
    if not common:
        return _surety_by_odds(given, None, _WEAK_RARE)
    surety = _surety_by_odds(given, _LIKELY_FULL, _WEAK_SURE if surname in SURE_SURNAMES else _WEAK_FULL)
    particled = not rest and given[1] in _PARTICLE_SYLLABLES and surname not in SURE_SURNAMES
    return min(surety, Surety.DOUBTFUL) if particled else surety


def _surety_by_odds(given: str, likely: float | None, weak: float) -> Surety:
    odds = given_odds(given)
    if likely is not None and odds >= likely:
        return Surety.LIKELY
    return Surety.WEAK if odds >= weak else Surety.NONE


def _is_verb(stem: str, rest: str) -> bool:
    """이용하는, 사용한, 형태이며: two syllables with the verb "to do" or "to be"."""
    if len(stem) != 3:
        return False
    if stem[2] == "하":
        return (
            rest.startswith(("는", "고", "다", "며", "면", "기", "던", "여", "나", "지", "라", "게", "도")) or not rest
        )
    if stem[2] == "지" and rest.startswith(("만", "도", "는")) and stem[1:] not in SURE_GIVEN:
        return True
    if stem[2] in "지나보려온올아에니임인":
        return stem[1:] not in GIVEN_NAMES
    if stem[2] == "이" and rest.startswith(_TO_BE):
        return stem[:2] in SHORT_WORDS
    return stem[2] in "한해된될할" and (not rest or rest.startswith("다")) and stem[0] not in SURE_SURNAMES

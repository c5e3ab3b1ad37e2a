"""How much two syllables look like a Korean given name rather than a word, from our own lists of both."""

import math
from collections import Counter
from functools import cache

from dataset_svc.domain.personal.korean_names import GIVEN_NAMES
from dataset_svc.domain.personal.short_words import SHORT_WORDS

# of rarer names, which the list lacks: the first syllable, the last one
_RARER = (
    "가강갑건겸경계곤관광교국권귀규근금기길난남다달대덕도돈동두득라락래려련로루만말명모무문미민방배백범병보복봉분비빈삼상새서석선설섭성세소솔송수숙순슬승시신아안애양언여연열영예오옥온완용우욱운웅원월유윤율은을의이익인일임장재점정제조종주준중증지진차찬창채천철청초춘충치칠태택판팔표필하학한해향헌혁현형혜호홍화환효훈휘흥희",
    "갑강건걸겸경곤관광교구국권규균근금길남녀덕돈동득란람래량련렬열령록룡률린림만명모목묵문민배백범복봉빈산삼석선설섭성솔송수숙순술슬승식신실심애양언업연엽영예오옥완용우욱운웅원월유윤율은의익인일임장재정제조종주준중직진찬창채천철춘출충칠탁태택판팔평표필하학한해향헌혁현협형혜호홍화환황효훈휘흠흥희",
)
_RARER_NAMES = 2
_NO_INITIALS, _FINALS = frozenset((1, 4, 8, 10, 13, 15)), frozenset((0, 1, 4, 8, 16, 17, 21))
_NEVER = -20.0
# what a syllable counts that a list never has at its place
_UNSEEN_IN_NAMES, _UNSEEN_IN_WORDS = 0.05, 1.0


def given_odds(given: str) -> float:
    """Logarithm of the odds, above 0 where a name is likelier; each syllable counts by itself, at its place."""
    if not all(map(_is_of_names, given)):
        return _NEVER
    return _odds_of(0, given[0]) + _odds_of(1, given[1])


def _is_of_names(syllable: str) -> bool:
    """No tense consonant or ㅋ before the vowel, and behind it none but ㄱ, ㄴ, ㄹ, ㅁ, ㅂ, ㅇ: neither 빠 nor 했."""
    place = ord(syllable) - 0xAC00
    return place // 588 not in _NO_INITIALS and place % 28 in _FINALS


@cache
def _odds_of(place: int, syllable: str) -> float:
    names, words = _counted(place)
    in_names = (names[syllable] + _UNSEEN_IN_NAMES) / names.total()
    return math.log(in_names * words.total() / (words[syllable] + _UNSEEN_IN_WORDS))


@cache
def _counted(place: int) -> tuple[Counter[str], Counter[str]]:
    names = Counter(name[place] for name in GIVEN_NAMES if len(name) == 2)
    names.update(_RARER[place] * _RARER_NAMES)
    return names, Counter(word[place] for word in SHORT_WORDS)

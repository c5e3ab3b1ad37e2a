"""How much a stem of Hangul looks like a transliterated name, by what is known, its syllables and the words it could be."""

import re
from functools import lru_cache
from typing import Final

from dataset_svc.domain.personal.borrowed_words import BORROWED
from dataset_svc.domain.personal.common_words import WORDS
from dataset_svc.domain.personal.foreign_names import AMBIGUOUS_FOREIGN, ASIAN_NAMES, FOREIGN_NAMES
from dataset_svc.domain.personal.foreign_odds import foreign_odds
from dataset_svc.domain.personal.known_persons import KNOWN_FOREIGNERS
from dataset_svc.domain.personal.korean_shapes import WORD_ENDS
from dataset_svc.domain.personal.loanwords import LOAN_PARTS, LOANWORDS, NATIVE_WORDS
from dataset_svc.domain.personal.name_cues import PARTICLES, ROLES, TECHNICAL, TITLES
from dataset_svc.domain.personal.proper_loanwords import LOAN_ENDINGS
from dataset_svc.domain.personal.short_words import SHORT_WORDS
from dataset_svc.domain.personal.surety import Surety
from dataset_svc.domain.personal.world_names import EVERYDAY, WORLD_NAMES

ALL_FOREIGN: Final = FOREIGN_NAMES | ASIAN_NAMES
WORLD: Final = (WORLD_NAMES | KNOWN_FOREIGNERS) - WORDS - LOANWORDS - NATIVE_WORDS - TITLES - ROLES - PARTICLES
_KNOWN = ALL_FOREIGN | frozenset(name for name in WORLD if len(name) > 2) - EVERYDAY
_LOAN_PART = re.compile("|".join(LOAN_PARTS)).search
_FOREIGN = frozenset(
    "뎁듀뒤렁롱뮌뵈뵐뷰븐쁘쌩씽웬윙쳇켐콘콤콩큐텀템톡펀펌펙펩폼퓨핌헵험헴혼홉훅흄뇨뉴닐덴델딕딜딩뢰뤽벤샴숄슐쌔윈칭츠크트프르즈브드쿠켄켈켓텟테텔텐튼틴틸팅펠페펜푸퍼포피핀필뮬밀맥랭렌렐롤론룬룩뤼뤽릭릴린링블셰셸셜슈쉬샤샬쇼숀쉐쉴슬슨엘엠앤앨올워웨윌윈웰위잭잰젤졸쥐쥘짐쯔찰챈첼칼캐커컬코콜퀸클키킬킹킴타탈터토톰투튜티팀파팔패팬펄폴풀플핼핸햅헌헬휘휴흐히힐스카케루리라레로니데디도나다노마모무메미바베보부비뷔사세소시아에오우유이자제조지주차치하헤호후가고구그기게네누랑람란랄랜럼럿렉렛롭롯룸륜립릿멘멜몬몰멀먼맨반번벌벨벤볼빈빌빅산살샌샘선셀셋션솔쉘신실썬알얀얄엑옌욘월웬윅율잔잘장젠존좀준쥬진질챈천쳄추축춘칠칸캄캘캔컨케쾨쿨퀴킨탄탐탕태톤통튤틀판팰펑퐁푼핑할함해핫핵핼홀홈훈훌힌"
)
_STRONG_FOREIGN = frozenset(
    "뎁듀뒤렁롱뮌뵈뵐뷰븐쁘쌩씽웬윙쳇켐콘콤콩큐텀템톡펀펌펙펩폼퓨핌헵험헴혼홉훅흄뇨뉴놀닐덴델딕딜딩뢰뤽머벅벤샴숄슐슬쌔윈칭츠크트프르즈브드쿠켄켈켓텟테텔텐튼틴틸팅펠페펜푸퍼핀필뮬맥랭렌렐롤론룬룩뤼뤽릭릴블셰셸셜슈쉬샤샬쇼숀쉐쉴슨엘엠앤앨워웨윌윈웰잭잰젤쥐쥘쯔챈첼칼캐커컬콜퀸클킬킹킴탈터톰튜티팀팔팬펄폴플핸햅헌헬휘흐힐벨벤뷔렛릿럼럿욘얀쾨퀴킨레라베헤니에"
)
# that family names have as well, behind a given name that is known: 멜리사 멘체스터, 크리스 쿤
FAMILY: Final = _FOREIGN | frozenset(
    "너인윗읍만달글골버야어거림음와군날낙단담딘메므불브상섭술멀믈밍베븐젊즌체쿤덱벗윱닝딘던든돈롬맹믹벅벡본뷜섀섹섬셉싱앙애앵얼엄옐옵웅잉젝쳉촘츄칵콕콥쾰쿡킥텍톨틱팍푹핏헝즐랙낸넬멍"
)
# of three syllables: 슬프지, 커다란, 추진할
_VERB_ENDINGS = frozenset("고지게다란한해하할워")
# that particles are as well
_PARTICLE_ENDS = frozenset("에로이가도만와과의은는을를나지라니며고다야러")
# that verbs end with before another word: 쉬고 매달, 거쳐 온
_CONNECTIVES = frozenset("고쳐서여져려며면게지")
_SPELT = re.compile(f"[{''.join(sorted(FAMILY.union(*ALL_FOREIGN, *WORLD)))}]+").fullmatch
# odds from which a stem is taken for a name: of two syllables, of more, of more with syllables that are rare in names
_SHORT, _LONG, _RARE = 0.5, 2.0, 3.5
# ㄲ, ㄳ, ㄵ, ㄶ, ㄺ to ㅀ, ㅄ, ㅆ, ㅈ, ㅊ and ㅎ
_NATIVE_FINALS = frozenset((2, 3, 5, 6, 9, 10, 11, 12, 13, 14, 15, 18, 20, 22, 23, 27))
_LESS_BEFORE_PARTICLES = 1.5
# and those of two words together; of one that is known at least the second
_PAIR, _PAIR_KNOWN = 3.0, 3.5


@lru_cache(maxsize=1 << 16)
def is_foreign_stem(stem: str) -> Surety:
    """How much a stem looks like a transliterated name."""
    if stem in AMBIGUOUS_FOREIGN and stem not in WORDS:
        return Surety.WEAK
    if stem in WORDS or stem in BORROWED:
        return Surety.NONE
    if stem in ALL_FOREIGN:
        return Surety.SURE if len(stem) > 2 else Surety.LIKELY
    if stem in WORLD:
        return _world_surety(stem)
    if len(stem) > 3 and _is_joined(stem):
        return Surety.SURE
    return _surety_by_odds(stem)


def _surety_by_odds(stem: str) -> Surety:
    if len(stem) < 2 or not _SPELT(stem) or _is_borrowed(stem) or _is_composed(stem):
        return Surety.NONE
    if len(stem) < 4 and stem[:2] in SHORT_WORDS:
        return Surety.NONE
    odds = foreign_odds(stem) - (_LESS_BEFORE_PARTICLES if stem[-1] in _PARTICLE_ENDS else 0)
    if len(stem) == 2:
        return Surety.DOUBTFUL if odds >= _SHORT and stem[1] not in WORD_ENDS else Surety.NONE
    return Surety.WEAK if odds >= (_LONG if FAMILY.issuperset(stem) else _RARE) else Surety.NONE


def are_pair(given: str, family: str) -> bool:
    """Whether two stems that hardly look like names by themselves do together."""
    if given in SHORT_WORDS or given[-1] in _CONNECTIVES:
        return False
    return _odds_in_pair(given) + _odds_in_pair(family) >= _PAIR


def _odds_in_pair(stem: str) -> float:
    odds = foreign_odds(stem)
    return max(odds, _PAIR_KNOWN) if stem in _KNOWN or stem in AMBIGUOUS_FOREIGN or stem in WORLD else odds


def _world_surety(stem: str) -> Surety:
    if stem in EVERYDAY or stem in SHORT_WORDS:
        return Surety.DOUBTFUL
    if len(stem) > 2:
        return Surety.SURE if len(stem) > 3 else Surety.LIKELY
    return Surety.DOUBTFUL if _STRONG_FOREIGN.isdisjoint(stem) else Surety.WEAK


def _is_borrowed(stem: str) -> bool:
    """Ends as things and places do, with a particle or without: 크레타섬에."""
    return stem.endswith(LOAN_ENDINGS) or (stem[-1] in _PARTICLE_ENDS and stem[:-1].endswith(LOAN_ENDINGS))


def sounds_native(stem: str) -> bool:
    """Whether a syllable ends as no transliterated one does: 나타냈, 않은."""
    return any((ord(syllable) - 0xAC00) % 28 in _NATIVE_FINALS for syllable in stem)


def _is_composed(stem: str) -> bool:
    """Made of a technical word or a loanword and a syllable (펌프차), or a verb whose syllables transliterations have too."""
    if stem[:2] in TECHNICAL or (len(stem) == 3 and stem[2] in _VERB_ENDINGS):
        return True
    return _LOAN_PART(stem) is not None


def _is_joined(stem: str) -> bool:
    """Given and family name written as one word: 케빈코스트너."""
    for cut in range(1, len(stem) - 1):
        given, family = stem[:cut], stem[cut:]
        if given in _KNOWN and (family in _KNOWN or (cut > 1 and _sounds_foreign(family) and family not in LOANWORDS)):
            return True
    return False


def _sounds_foreign(stem: str) -> bool:
    """Every syllable is one that transliterations have."""
    return all(char in _FOREIGN for char in stem)

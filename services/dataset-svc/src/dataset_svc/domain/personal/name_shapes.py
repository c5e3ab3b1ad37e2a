"""What one Hangul word could be, seen alone: a Korean or foreign name with particles, a title, a word of technical prose.

The readings of a word are remembered, for texts repeat their words.
"""

from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache

from dataset_svc.domain.personal.common_words import WORDS
from dataset_svc.domain.personal.foreign_odds import foreign_odds
from dataset_svc.domain.personal.foreign_names import AMBIGUOUS_FOREIGN, ASIAN_NAMES, FOREIGN_ENDINGS, FOREIGN_NAMES
from dataset_svc.domain.personal.known_persons import KNOWN_FOREIGNERS, KNOWN_KOREANS, SHORT_GIVEN, SHORT_KOREANS
from dataset_svc.domain.personal.korean_names import (
    AMBIGUOUS_GIVEN,
    COMMON_SURNAMES,
    DOUBLE_SURNAMES,
    FAMOUS,
    GIVEN_NAMES,
    PLAUSIBLE,
    RARE_SURNAMES,
    SURE_SURNAMES,
    TYPICAL,
)
from dataset_svc.domain.personal.given_odds import given_odds
from dataset_svc.domain.personal.loanwords import LOAN_PARTS, LOANWORDS, NATIVE_WORDS
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
from dataset_svc.domain.personal.proper_loanwords import LOAN_ENDINGS, PLACES, THINGS
from dataset_svc.domain.personal.short_words import SHORT_WORDS
from dataset_svc.domain.personal.stage_names import STAGE_NAMES, SURE_STAGE_NAMES
from dataset_svc.domain.personal.world_names import EVERYDAY, WORLD_NAMES

_LONGEST_NAME = 14
_LONGEST_WORD = 24
_SURNAMES = COMMON_SURNAMES | RARE_SURNAMES
_ALL_TITLES = TITLES | frozenset(HONORIFICS)
_TITLE_LENGTHS = range(1, max(map(len, _ALL_TITLES)) + 1)
_TITLE_HEADS = frozenset(one[0] for one in _ALL_TITLES) | {"모"}
# syllables that are particles as well: "정도의" is no name
_PARTICLE_SYLLABLES = frozenset("은의이도로만나인지고서가아라기에야을다")
_FOREIGN = frozenset(
    "뎁듀뒤렁롱뮌뵈뵐뷰븐쁘쌩씽웬윙쳇켐콘콤콩큐텀템톡펀펌펙펩폼퓨핌헵험헴혼홉훅흄뇨뉴닐덴델딕딜딩뢰뤽벤샴숄슐쌔윈칭츠크트프르즈브드쿠켄켈켓텟테텔텐튼틴틸팅펠페펜푸퍼포피핀필뮬밀맥랭렌렐롤론룬룩뤼뤽릭릴린링블셰셸셜슈쉬샤샬쇼숀쉐쉴슬슨엘엠앤앨올워웨윌윈웰위잭잰젤졸쥐쥘짐쯔찰챈첼칼캐커컬코콜퀸클키킬킹킴타탈터토톰투튜티팀파팔패팬펄폴풀플핼핸햅헌헬휘휴흐히힐스카케루리라레로니데디도나다노마모무메미바베보부비뷔사세소시아에오우유이자제조지주차치하헤호후가고구그기게네누랑람란랄랜럼럿렉렛롭롯룸륜립릿멘멜몬몰멀먼맨반번벌벨벤볼빈빌빅산살샌샘선셀셋션솔쉘신실썬알얀얄엑옌욘월웬윅율잔잘장젠존좀준쥬진질챈천쳄추축춘칠칸캄캘캔컨케쾨쿨퀴킨탄탐탕태톤통튤틀판팰펑퐁푼핑할함해핫핵핼홀홈훈훌힌"
)
_STRONG_FOREIGN = frozenset(
    "뎁듀뒤렁롱뮌뵈뵐뷰븐쁘쌩씽웬윙쳇켐콘콤콩큐텀템톡펀펌펙펩폼퓨핌헵험헴혼홉훅흄뇨뉴놀닐덴델딕딜딩뢰뤽머벅벤샴숄슐슬쌔윈칭츠크트프르즈브드쿠켄켈켓텟테텔텐튼틴틸팅펠페펜푸퍼핀필뮬맥랭렌렐롤론룬룩뤼뤽릭릴블셰셸셜슈쉬샤샬쇼숀쉐쉴슨엘엠앤앨워웨윌윈웰잭잰젤쥐쥘쯔챈첼칼캐커컬콜퀸클킬킹킴탈터톰튜티팀팔팬펄폴플핸햅헌헬휘흐힐벨벤뷔렛릿럼럿욘얀쾨퀴킨레라베헤니에"
)
# that family names have as well, behind a given name that is known: 멜리사 멘체스터, 크리스 쿤
_FAMILY = _FOREIGN | frozenset(
    "너인윗읍만달글골버야어거림음와군날낙단담딘메므불브상섭술멀믈밍베븐젊즌체쿤덱벗윱닝딘던든돈롬맹믹벅벡본뷜섀섹섬셉싱앙애앵얼엄옐옵웅잉젝쳉촘츄칵콕콥쾰쿡킥텍톨틱팍푹핏헝즐랙낸넬멍"
)
# that say nothing at the end of a stem: 보도에, 올립니, 자신이라
_LAST_PARTICLES = frozenset("에니라")
# of three syllables: 슬프지, 커다란, 추진할
_VERB_ENDINGS = frozenset("고지게다란한해하할워")

_LOAN_PARTS = frozenset(LOAN_PARTS)
_NATIVE = NATIVE_WORDS - GIVEN_NAMES
_PARTICLES_OF_WORDS = frozenset("은의이도로만가에을를와과")
# that lengthen words: particles, and what makes kinds, qualities and people of things
_LENGTHENING = _PARTICLE_SYLLABLES | frozenset("성적화자권형식제상장경원중률율용수")
# surnames that hardly ever stand before a word to lengthen it, as in 신기술, 고소득
_NO_PREFIXES = frozenset("김박최윤황홍권류엄허안임장오서송문배백심곽변염")
_PARTICLE_ENDS = frozenset("에로이가도만와과의은는을를나지라니며고다야러")
# that verbs end with before another word: 쉬고 매달, 거쳐 온
_CONNECTIVES = frozenset("고쳐서여져려며면게지")
_VERBAL = frozenset("한해할하되된될")
_ODDS_BEHIND_WORD, _ODDS_OF_WORD = 0.4, -2.0
FOREIGN_SHORT, FOREIGN_LONG, FOREIGN_RARE, TAIL = 0.5, 2.0, 3.5, 0.0
_LESS_BEFORE_PARTICLES = 1.5
PAIR, _PAIR_KNOWN = 3.0, 2.0
LIKELY_ALONE, WEAK_ALONE, LIKELY_FULL, WEAK_FULL, WEAK_SURE, WEAK_RARE = 3.0, 1.5, 2.0, -1.5, -5.0, 1.0
_SURE_GIVEN = GIVEN_NAMES - AMBIGUOUS_GIVEN
# full names of two syllables that are hardly ever words
_SHORT_SURNAMES = frozenset("김박최장허윤황권강조")
_SHORT_GIVEN = frozenset("혁훈준현빈철찬욱균엽웅윤")
_ALL_FOREIGN = FOREIGN_NAMES | ASIAN_NAMES
_WORLD = (WORLD_NAMES | KNOWN_FOREIGNERS) - WORDS - LOANWORDS - NATIVE_WORDS - TITLES - ROLES - PARTICLES
_SYLLABLES = _FAMILY | frozenset("".join(_ALL_FOREIGN | _WORLD))
_ALL_KNOWN = _ALL_FOREIGN | frozenset(name for name in _WORLD if len(name) > 2) - EVERYDAY
_BORROWED = LOANWORDS | ((PLACES | THINGS) - _ALL_FOREIGN - AMBIGUOUS_FOREIGN - WORLD_NAMES - KNOWN_FOREIGNERS)


class Surety(IntEnum):
    """How much a word needs from its neighbours to be taken for a name."""

    NONE = 0
    DOUBTFUL = 1
    WEAK = 2
    LIKELY = 3
    SURE = 4


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

    @property
    def starting(self) -> bool:
        """Whether a name may start with the word."""
        return self.length > 0 or self.surname


@lru_cache(maxsize=1 << 17)
def read_word(word: str) -> Word:
    """The most likely reading of a word of Hangul."""
    if len(word) > _LONGEST_WORD:
        return Word()
    role = word in ROLES or (word[-1] in "은는인의" and word[:-1] in ROLES)
    title = _is_title(word)
    if _is_technical(word):
        return Word(technical=True, title=title)
    if len(word) == 1:
        foreign = word in SHORT_GIVEN and not title
        surety = Surety.DOUBTFUL if foreign else Surety.NONE
        return Word(
            length=foreign,
            surety=surety,
            foreign=foreign,
            bare=foreign,
            surname=word in COMMON_SURNAMES,
            title=title,
            role=role,
        )
    if title or role:
        return Word(title=title, role=role)
    if any(word[:length] in _BORROWED and word[length:] in PARTICLES for length in range(2, len(word))):
        return Word()
    best = Word()
    for length in range(min(len(word), _LONGEST_NAME), 0, -1):
        reading = _read_name(word, length)
        if reading is not None and reading.surety > best.surety:
            best = reading
    return best


def is_foreign_stem(stem: str) -> Surety:
    """How much a stem looks like a transliterated name."""
    if stem in AMBIGUOUS_FOREIGN and stem not in WORDS:
        return Surety.WEAK
    if stem in WORDS or stem in _BORROWED or stem in _NATIVE:
        return Surety.NONE
    if stem in FOREIGN_NAMES or stem in ASIAN_NAMES:
        return Surety.SURE if len(stem) > 2 else Surety.LIKELY
    if stem in _WORLD:
        return _world_surety(stem)
    if len(stem) > 3 and _is_joined(stem):
        return Surety.SURE
    if len(stem) < 2 or stem.endswith(LOAN_ENDINGS) or _is_composed(stem) or (len(stem) < 4 and stem[:2] in SHORT_WORDS):
        return Surety.NONE
    if not _SYLLABLES.issuperset(stem):
        return Surety.NONE
    odds = foreign_odds(stem) - (_LESS_BEFORE_PARTICLES if stem[-1] in _PARTICLE_ENDS else 0)
    if len(stem) == 2:
        return Surety.DOUBTFUL if odds >= FOREIGN_SHORT else Surety.NONE
    return Surety.WEAK if odds >= (FOREIGN_LONG if _FAMILY.issuperset(stem) else FOREIGN_RARE) else Surety.NONE


def _world_surety(stem: str) -> Surety:
    if stem in EVERYDAY or stem in SHORT_WORDS:
        return Surety.DOUBTFUL
    if len(stem) > 2:
        return Surety.SURE if len(stem) > 3 else Surety.LIKELY
    return Surety.DOUBTFUL if _STRONG_FOREIGN.isdisjoint(stem) else Surety.WEAK


def _is_composed(stem: str) -> bool:
    """Made of a technical word or a loanword and a syllable (펌프차), or a verb whose syllables transliterations have too."""
    if stem[:2] in TECHNICAL or (len(stem) == 3 and stem[2] in _VERB_ENDINGS):
        return True
    return any(stem[first:stop] in _LOAN_PARTS for first in range(len(stem)) for stop in range(first + 1, first + 5))


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
        if stem in _BORROWED or stem in _NATIVE or word in _NATIVE or stem[:2] in SHORT_WORDS:
            continue
        if _FAMILY.issuperset(stem) or (length > 1 and (stem in _WORLD or foreign_odds(stem) >= TAIL)):
            return length
    return 0


@lru_cache(maxsize=1 << 14)
def may_be_pair(given: str, family: str) -> bool:
    """Whether two words that hardly look like names by themselves do together."""
    length = foreign_tail(family)
    if not length or given in SHORT_WORDS or given[-1] in _CONNECTIVES or foreign_tail(given) != len(given):
        return False
    return _pair_odds(given) + _pair_odds(family[:length]) >= PAIR


def _pair_odds(stem: str) -> float:
    known = _PAIR_KNOWN if stem in _ALL_KNOWN or stem in AMBIGUOUS_FOREIGN or stem in _WORLD else -5.0
    return max(foreign_odds(stem), known)


def _is_joined(stem: str) -> bool:
    """Given and family name written as one word: 케빈코스트너."""
    for cut in range(1, len(stem) - 1):
        given, family = stem[:cut], stem[cut:]
        if given in _ALL_KNOWN and (
            family in _ALL_KNOWN or (cut > 1 and sounds_foreign(family) and family not in LOANWORDS)
        ):
            return True
    return False


def sounds_foreign(stem: str) -> bool:
    """Every syllable is one that transliterations have."""
    return all(char in _FOREIGN for char in stem)


def _is_title(word: str) -> bool:
    return word in TITLES or _begins_with_title(word)


def _begins_with_title(word: str) -> bool:
    """A title or honorific with a particle."""
    return any(word[:length] in _ALL_TITLES and word[length:] in PARTICLES for length in _TITLE_LENGTHS)


def _is_technical(word: str) -> bool:
    return any(
        word[:length] in TECHNICAL and (length == len(word) or word[length:] in PARTICLES or length > 2)
        for length in range(min(5, len(word)), 1, -1)
    )


def _read_name(word: str, length: int) -> Word | None:
    stem, rest = word[:length], word[length:]
    titled = _is_honoured(rest) or rest.startswith(OF_PERSONS)
    if length == 1:
        return Word(length=1, surety=Surety.LIKELY, titled=True) if _is_surname_with_title(word) else None
    if length == 2 and titled and not rest.startswith(HONORIFICS) and stem not in _ALL_FOREIGN:
        titled = False
    glued = length > 1 and rest.startswith(BEHIND_NAMES)
    if not (rest == "" or titled or glued or rest in PARTICLES):
        return None
    korean = _korean_surety(word, stem, rest)
    # templates put any particle behind a full name: 윤민기이 제출한
    full = korean >= Surety.LIKELY and length > 2 and stem[-2:] in GIVEN_NAMES
    if not (rest == "" or titled or glued or full or agrees(stem, rest)):
        return None
    foreign = is_foreign_stem(stem) if korean < Surety.LIKELY else Surety.NONE
    surety = max(korean, foreign)
    if glued and not titled and (surety < Surety.LIKELY or (length == 2 and stem not in _SURE_GIVEN)):
        return None
    if surety is Surety.NONE:
        if not (rest.startswith(("씨", "모씨")) and titled and length == 3 and stem[0] in _SURNAMES):
            return None
        surety = Surety.WEAK
    return Word(length=length, surety=surety, foreign=foreign > korean, bare=not rest, titled=titled or glued)


def _is_surname_with_title(word: str) -> bool:
    """박씨는, 김모씨; longer titles only behind surnames that begin no such word: 김위원장, but 주차장."""
    surname, rest = word[0], word[1:]
    if surname not in _SURNAMES or word in _NATIVE or not _is_honoured(rest):
        return False
    if rest.startswith(("씨", "모")) and (surname in COMMON_SURNAMES or rest[0] == "씨"):
        return True
    return len(rest) > 1 and surname in SURE_SURNAMES and rest[:2] not in ("님", "형님") and word[:3] not in WORDS


def _korean_surety(word: str, stem: str, rest: str) -> Surety:
    if stem in FAMOUS or stem in SURE_STAGE_NAMES or stem in KNOWN_KOREANS:
        return Surety.SURE
    if stem in STAGE_NAMES or stem in SHORT_KOREANS:
        return max(Surety.DOUBTFUL, _korean_shape(word, stem, rest))
    return _korean_shape(word, stem, rest)


def _korean_shape(word: str, stem: str, rest: str) -> Surety:
    if word[:3] in WORDS or word[:4] in WORDS or stem in _NATIVE or stem in _BORROWED or _is_verb(stem, rest):
        return Surety.NONE
    if len(stem) == 2:
        return _short_surety(stem)
    if len(stem) == 3 and stem[:2] in DOUBLE_SURNAMES and stem[2] in TYPICAL:
        return Surety.LIKELY
    if len(stem) == 3 and stem[0] in _SURNAMES:
        surety = _given_surety(stem[0], stem[1:], rest)
        return min(surety, Surety.DOUBTFUL) if _is_lengthened(stem) else surety
    return _given_surety(stem[:2], stem[2:], rest) if len(stem) == 4 and stem[:2] in DOUBLE_SURNAMES else Surety.NONE


def _is_lengthened(stem: str) -> bool:
    """A word of two syllables with one more before or behind it: 위험이, 공표하, 전라권, 신기술."""
    given = stem[1:]
    if given in GIVEN_NAMES:
        return given in AMBIGUOUS_GIVEN and stem[2] in _PARTICLES_OF_WORDS and stem[:2] in SHORT_WORDS
    if stem[:2] in SHORT_WORDS:
        return stem[2] in _LENGTHENING or given in SHORT_WORDS or given_odds(given) < _ODDS_BEHIND_WORD
    return given in SHORT_WORDS and given_odds(given) < (_ODDS_OF_WORD if stem[0] in _NO_PREFIXES else _ODDS_BEHIND_WORD)


def _short_surety(stem: str) -> Surety:
    """Two syllables: a given name alone, or one after a surname that begins few words."""
    if stem in DOUBLE_SURNAMES and stem not in GIVEN_NAMES:
        return Surety.NONE
    if stem[0] in _SHORT_SURNAMES and stem[1] in _SHORT_GIVEN:
        return Surety.LIKELY
    if stem[0] in SURE_SURNAMES and stem[1] in TYPICAL and stem not in SHORT_WORDS:
        return Surety.LIKELY
    if stem in GIVEN_NAMES:
        return Surety.WEAK if stem in AMBIGUOUS_GIVEN or stem in SHORT_WORDS else Surety.LIKELY
    if stem in SHORT_WORDS:
        return Surety.NONE
    odds = given_odds(stem)
    if odds >= LIKELY_ALONE and TYPICAL.issuperset(stem):
        return Surety.LIKELY
    return Surety.WEAK if odds >= WEAK_ALONE else Surety.NONE


def _given_surety(surname: str, given: str, rest: str) -> Surety:
    common = surname in COMMON_SURNAMES or len(surname) == 2
    if given in GIVEN_NAMES:
        sure = given not in AMBIGUOUS_GIVEN
        if common:
            return Surety.SURE if sure else Surety.LIKELY
        return Surety.LIKELY if sure and given[1] not in _PARTICLE_SYLLABLES else Surety.WEAK
    if given[1] in _VERBAL:
        return Surety.NONE
    if not rest and given[1] in _PARTICLE_SYLLABLES and surname not in SURE_SURNAMES:
        return Surety.DOUBTFUL if given_odds(given) >= WEAK_FULL else Surety.NONE
    odds = given_odds(given)
    if not common:
        return Surety.WEAK if odds >= WEAK_RARE else Surety.NONE
    if odds >= LIKELY_FULL:
        return Surety.LIKELY
    return Surety.WEAK if odds >= (WEAK_SURE if surname in SURE_SURNAMES else WEAK_FULL) else Surety.NONE


def _is_verb(stem: str, rest: str) -> bool:
    """이용하는, 사용한: a stem of two syllables with the verb "to do"."""
    if len(stem) != 3:
        return False
    if stem[2] == "하":
        return (
            rest.startswith(("는", "고", "다", "며", "면", "기", "던", "여", "나", "지", "라", "게", "도")) or not rest
        )
    if stem[2] == "지" and rest.startswith(("만", "도", "는")) and stem[1:] not in _SURE_GIVEN:
        return True
    if stem[2] in "지나보려온올아에니임인":
        return stem[1:] not in GIVEN_NAMES
    return stem[2] in "한해된될할" and (not rest or rest.startswith("다")) and stem[0] not in SURE_SURNAMES


def _is_honoured(rest: str) -> bool:
    if not rest or rest[0] not in _TITLE_HEADS:
        return False
    return rest.startswith("모씨") or rest in ("모", "모의") or rest in _ALL_TITLES or _begins_with_title(rest)

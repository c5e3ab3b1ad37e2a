"""Shapes of personal data and secrets in Korean and English text, each with the test that its digits must pass.

Digits count only where no letter, digit or underscore touches them, so node names, hexadecimal addresses, block ids and
counters of machine logs stay whole; Hangul may touch them, since particles follow numbers without a space.
"""

import re

from loopwright.personal.addresses import ADDRESSES
from loopwright.personal.identity_numbers import ACCOUNTS, LABELLED_NUMBERS, PLATES
from loopwright.personal.kinds import LEFT, RIGHT, Detector, Near, PersonalKind, Trait, detectors, one_of
from loopwright.personal.number_rules import (
    digits_of,
    is_card_number,
    is_personal_ip,
    is_representative_number,
    is_resident_number,
)

_SAYS = r"[\"']?\s{0,3}(?:[:=]|은\s|는\s|is\s)\s{0,3}[\"']?"
_OTHER_NUMBER_BEFORE = re.compile(
    r"(?:(?:주문|접수|문서|관리|제품|상품|모델|부품|사건|송장|일련|등록|계약|우편|사원|학생|회원|참조)\s?(?:번호|코드)"
    r"|(?<![a-z])(?:order|model|ticket|part|serial|invoice|case|id|no|pid|pages?)\.?|[#$₩])\s?(?:no\.?)?\s?[:=#]?\s{0,2}$",
    re.IGNORECASE,
)
_VERSION_BEFORE = re.compile(r"(?:\bv|\bver\.?|version|release|버전)\s?$", re.IGNORECASE)


def _is_mixed(match: re.Match[str]) -> bool:
    """Keys mix letters and digits; hexadecimal values of logs (0x...) are no keys."""
    value = match["value"]
    mixed = any(char.isdigit() for char in value) and any(char.isalpha() for char in value)
    return mixed and not value.lower().startswith("0x")


def _is_password(match: re.Match[str]) -> bool:
    """Words and paths after the label are talk about a password, not one."""
    value = match["value"]
    return not value.startswith("/") and any(char.isdigit() or char in "!@#$%^&*" for char in value)


def _is_resident_number(match: re.Match[str]) -> bool:
    return is_resident_number(match[0])


def _is_card(match: re.Match[str]) -> bool:
    return is_card_number(digits_of(match[0]))


def _is_grouped_card(match: re.Match[str]) -> bool:
    """Hyphens between four fours are meant as a card number; spaces may be columns, so the check digit decides."""
    return match[0][4] == "-" or _is_card(match)


def _is_phone_length(match: re.Match[str]) -> bool:
    return 9 <= len(digits_of(match[0])) <= 15  # E.164 allows 15


def _is_personal_ip(match: re.Match[str]) -> bool:
    before = match.string[max(0, match.start() - 9) : match.start()]
    return is_personal_ip(match[0]) and not _VERSION_BEFORE.search(before)


def _is_representative_number(match: re.Match[str]) -> bool:
    """Without a label before it that says that it is another number: 주문번호 1588-1234."""
    before = match.string[max(0, match.start() - 16) : match.start()]
    return is_representative_number(match[0]) and not _OTHER_NUMBER_BEFORE.search(before)


_VENDOR_KEYS = (
    r"(?<=A)(?:[KS]IA[0-9A-Z]{16}|Iza[0-9A-Za-z_\-]{35})|(?<=s)k-[A-Za-z0-9_\-]{20,200}"
    r"|(?<=g)(?:h[pousr]_[A-Za-z0-9]{36,255}|ithub_pat_[A-Za-z0-9_]{22,255}|lpat-[A-Za-z0-9_\-]{20,64})"
    r"|(?<=x)ox[abprs]-[A-Za-z0-9\-]{10,200}|(?<=[srp])k_(?:live|test)_[A-Za-z0-9]{16,255}|(?<=h)f_[A-Za-z0-9]{30,64}"
)
_NO_LETTER = "(?<![a-z].)"
_KEY_LABEL = one_of(
    r"api[_ \-]?key",
    r"access[_ \-]?key(?:[_ \-]?id)?",
    r"secret(?:[_ \-](?:access[_ \-])?key)?",
    r"client[_ \-]?secret",
    r"auth[_ \-]?token",
    r"access[_ \-]?token",
    r"refresh[_ \-]?token",
    "token",
    r"private[_ \-]?key",
    r"인증\s?키",
    "토큰",
    behind=_NO_LETTER,
)
_PASSWORD_LABEL = one_of("password", "passwd", "passphrase", f"p{_NO_LETTER}wd", "비밀번호", "패스워드")
_PRIVATE_KEY = "[A-Z ]{0,30}PRIVATE KEY-----"
_JWT_PART = r"[A-Za-z0-9_\-]{8,8000}"
_ID_LABEL = one_of(
    *(r"주민\s?등록\s?번호", r"주민\s?번호", r"외국인\s?등록\s?번호"),
    *("resident registration (?:number|no)", r"r(?<!\w.)rn"),
)
_PHONE_LABEL = one_of(
    *("전화", "연락처", "휴대폰", "핸드폰"),
    *(f"t{_NO_LETTER}el(?:ephone)?", f"p{_NO_LETTER}hone", f"m{_NO_LETTER}obile"),
)
# stand before other numbers as well
_SERVICE_LABEL = one_of(
    *(r"대표\s?번호", r"안심\s?번호", r"고객\s?센터", r"콜\s?센터", "상담", "문의", r"수신자\s?부담", "팩스"),
    *(f"f{_NO_LETTER}ax", f"h{_NO_LETTER}otline"),
)
_SERVICE_PHONE = r"0[0-9 .\-()]{7,13}[0-9]|1[5-8][0-9]{2}[- ][0-9]{4}"
# a range of sizes or speeds is followed by its unit
_NO_UNIT = r"(?![만억원년세]|\s?(?:[nmck]?m|kg|rpm|[kMG]?Hz|cc|[kM]?W|년|원)(?![가-힣A-Za-z]))"
_LABELLED_PHONE = r"0[0-9 .\-()]{7,13}[0-9]|1[5-8][0-9]{2}[-. ]?[0-9]{4}|[2-9][0-9]{2}[-. ]?[0-9]{3}[-. ]?[0-9]{4}"
_EMAIL_DOMAIN = r"(?:[A-Za-z0-9\-]{1,63}\.){1,8}[A-Za-z]{2,24}(?![A-Za-z0-9])"

_VENDORS = (
    "akia",
    "asia",
    "sk-",
    "k_live",
    "k_test",
    "ghp_",
    "gho_",
    "ghu_",
    "ghs_",
    "ghr_",
    "github_pat_",
    "glpat",
    "xox",
    "aiza",
    "hf_",
)

_SECRETS = (
    *detectors(
        PersonalKind.SECRET,
        rf"-----BEGIN {_PRIVATE_KEY}(?:[^-]|-(?!----)){{1,20000}}-----END {_PRIVATE_KEY}",
        anchors=("-----begin",),
        trait=Trait.ANYTHING,
    ),
    *detectors(
        PersonalKind.SECRET,
        rf"(?<![A-Za-z0-9_\-])eyJ{_JWT_PART}\.eyJ{_JWT_PART}\.{_JWT_PART}",
        anchors=("eyj",),
        trait=Trait.ANYTHING,
    ),
    *detectors(
        PersonalKind.SECRET,
        rf"(?-i:[Aghprsx])(?<![A-Za-z0-9_\-].)(?-i:{_VENDOR_KEYS})(?![A-Za-z0-9_])",
        anchors=_VENDORS,
        trait=Trait.ANYTHING,
    ),
    *detectors(
        PersonalKind.SECRET,
        r"(?-i:[Bb])(?<!\w.)earer\s(?P<value>[A-Za-z0-9._~+/\-]{16,4000}=*)",
        rf"{_KEY_LABEL}{_SAYS}(?P<value>[A-Za-z0-9+/_\-.=]{{16,500}})",
        accepts=_is_mixed,
        anchors=("bearer", "key", "secret", "token", "인증", "토큰"),
        trait=Trait.LONG_RUN,
    ),
    *detectors(
        PersonalKind.SECRET,
        rf"{_PASSWORD_LABEL}{_SAYS}(?P<value>[!#-&(-+\-./0-:<-~]{{6,128}})",
        accepts=_is_password,
        anchors=("passw", "passphrase", "pwd", "비밀번호", "패스워드"),
        trait=Trait.ANYTHING,
    ),
)
_EMAILS = detectors(
    PersonalKind.EMAIL,
    rf"(?<![A-Za-z0-9])[A-Za-z0-9][A-Za-z0-9._%+\-]{{0,63}}@{_EMAIL_DOMAIN}",
    trait=Trait.AT_SIGN,
    near=Near(re.compile("@"), before=64, after=640),
)
_NUMBERS = (
    # shape or label is enough: numbers given out since October 2020 have no check digit, and mistyped ones are personal too
    *detectors(
        PersonalKind.RESIDENT_NUMBER,
        rf"[0-9]{LEFT}[0-9]{{5}} ?- ?[0-9](?:[0-9]{{6}}|\*{{6}}){RIGHT}",
        trait=Trait.SIX_HYPHEN,
        numeric=True,
    ),
    *detectors(
        PersonalKind.RESIDENT_NUMBER,
        rf"{_ID_LABEL}[^0-9\n]{{0,12}}(?P<value>[0-9]{{6}}[-. ]?[0-9*]{{7}})(?![0-9])",
        anchors=("주민", "외국인", "resident", "rrn"),
    ),
    *detectors(
        PersonalKind.RESIDENT_NUMBER,
        rf"[0-9]{LEFT}[0-9]{{12}}{RIGHT}",
        accepts=_is_resident_number,
        trait=Trait.RUN_13,
        numeric=True,
    ),
    *detectors(
        PersonalKind.CARD_NUMBER,
        rf"[1-9]{LEFT}[0-9]{{3}}([ -])[0-9]{{4}}\1[0-9]{{4}}\1[0-9]{{4}}{RIGHT}",
        accepts=_is_grouped_card,
        trait=Trait.FOURS,
        numeric=True,
    ),
    *detectors(
        PersonalKind.CARD_NUMBER,
        rf"3{LEFT}[47][0-9]{{2}}([ -])[0-9]{{6}}\1[0-9]{{5}}{RIGHT}",
        accepts=_is_card,
        trait=Trait.FOURS,
        numeric=True,
    ),
    *detectors(
        PersonalKind.CARD_NUMBER,
        rf"[0-9]{LEFT}[0-9]{{13,15}}{RIGHT}",
        accepts=_is_card,
        trait=Trait.RUN_13,
        numeric=True,
    ),
    *detectors(
        PersonalKind.PHONE,
        r"\+(?<![0-9A-Za-z_].)82[-. ]?\(?0?\)?[0-9]{1,2}[-. ]?[0-9]{3,4}[-. ]?[0-9]{4}(?![0-9A-Za-z_])",
        trait=Trait.ABROAD,
        numeric=True,
    ),
    *detectors(
        PersonalKind.PHONE,
        rf"[(0]{LEFT}(?:(?<=\()0|(?<=0))1[016789]\)?[-. ][0-9]{{3,4}}[-. ]?[0-9]{{4}}{RIGHT}",
        trait=Trait.GROUPED,
        numeric=True,
    ),
    *detectors(PersonalKind.PHONE, rf"0{LEFT}10[0-9]{{8}}{RIGHT}", trait=Trait.ACCOUNT, numeric=True),
    *detectors(
        PersonalKind.PHONE,
        # toll-free and personal numbers are written with spaces too, as mobile ones are
        rf"[(0]{LEFT}(?:(?<=\()0|(?<=0))(?:(?:2|[3-6][1-5]|70|80|50[2-8]?)(?:\) ?|[-.])[0-9]{{3,4}}[-.]"
        rf"|(?:[78]0|50[2-8]) [0-9]{{3,4}}[- ])[0-9]{{4}}{RIGHT}",
        # area codes and exchanges of North America start at 2
        rf"[(2-9]{LEFT}(?:(?<=\()[2-9][0-9]{{2}}\) ?|(?<=[2-9])[0-9]{{2}}[-.])[2-9][0-9]{{2}}[-.][0-9]{{4}}{RIGHT}",
        trait=Trait.GROUPED,
        numeric=True,
    ),
    *detectors(
        PersonalKind.PHONE,
        rf"1{LEFT}[568][0-9]{{2}}-[0-9]{{4}}{RIGHT}{_NO_UNIT}",
        accepts=_is_representative_number,
        numeric=True,
    ),
    *detectors(
        PersonalKind.PHONE,
        rf"{_PHONE_LABEL}[^0-9\n+]{{0,8}}(?P<value>{_LABELLED_PHONE}){RIGHT}",
        anchors=("전화", "연락처", "휴대폰", "핸드폰", "phone", "tel", "mobile"),
    ),
    *detectors(
        PersonalKind.PHONE,
        rf"{_SERVICE_LABEL}[^0-9\n+]{{0,8}}(?P<value>{_SERVICE_PHONE}){RIGHT}",
        anchors=("대표", "안심", "센터", "상담", "문의", "수신자", "팩스", "fax", "hotline"),
    ),
    *detectors(
        PersonalKind.PHONE,
        r"\+(?<![0-9A-Za-z_].)[1-9][0-9]{0,2}[-. ]\(?[0-9]{1,4}\)?(?:[-. ][0-9]{2,4}){1,4}(?![0-9A-Za-z_])",
        accepts=_is_phone_length,
        trait=Trait.ABROAD,
        numeric=True,
    ),
    *detectors(
        PersonalKind.IP_ADDRESS,
        rf"[0-9]{LEFT}[0-9]{{0,2}}(?:\.[0-9]{{1,3}}){{3}}{RIGHT}",
        accepts=_is_personal_ip,
        trait=Trait.IPV4,
    ),
    *detectors(
        PersonalKind.IP_ADDRESS,
        r"(?<![0-9A-Za-z_:.])(?:[0-9A-Fa-f]{1,4}:){1,7}(?::?[0-9A-Fa-f]{1,4}){0,7}:{0,2}(?![0-9A-Za-z_:])",
        accepts=_is_personal_ip,
        trait=Trait.IPV6,
    ),
)
# in order of precedence: where two findings overlap the earlier one holds
DETECTORS: tuple[Detector, ...] = (*_SECRETS, *_EMAILS, *LABELLED_NUMBERS, *_NUMBERS, *ACCOUNTS, *PLATES, *ADDRESSES)

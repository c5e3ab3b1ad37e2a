"""Shapes of numbers that offices and banks give to people and firms: a label is enough, else the check digit or shape decides."""

import re

from loopwright.personal.kinds import LEFT, LINK, RIGHT, Detector, Near, PersonalKind, Trait, detectors, one_of
from loopwright.personal.number_rules import digits_of, is_business_number, is_iban

_BANKS = "은행|뱅크|농협|수협|신협|축협|새마을금고|우체국|KB국민|국민|신한|우리|하나|기업|산업|제일|씨티|카카오|토스|케이|대구|부산|경남|광주|전북|제주|SC제일"
_ACCOUNT_CUE = rf"(?:계좌|입금|송금|이체|통장|예금|(?:{_BANKS})(?:은행|뱅크)?\s?(?:\([^()\n]{{1,12}}\)\s?)?|[가-힣]{{1,6}}(?:은행|뱅크|금고|농협|수협|신협))"
_ACCOUNT = r"[0-9]{2,6}-[0-9]{2,6}-[0-9]{2,8}(?:-[0-9]{1,4})?"
# where such a number begins
_NEAR_ACCOUNT = Near(re.compile(r"[0-9](?<![0-9].)(?=[0-9]{9}|[0-9]{1,5}-[0-9]{2,6}-[0-9]{2})"), before=40, after=80)
_BANK_WORDS = ("계좌", "입금", "송금", "이체", "통장", "예금", "은행", "뱅크", "농협", "수협", "신협", "금고", "우체국")
_BANK_NAMES = ("국민", "신한", "우리", "하나", "기업", "카카오", "토스", "케이")
_YEAR = r"(?:18|19|20)[0-9]{2}"
_DATE = (
    rf"{_YEAR}\s?[-./년]\s?[0-9]{{1,2}}\s?[-./월]\s?[0-9]{{1,2}}(?:\s?일)?|[0-9]{{2}}\s?[-./년]\s?[0-9]{{1,2}}\s?[-./월]\s?[0-9]{{1,2}}(?![0-9])(?:\s?일)?"
    rf"|{_YEAR}[0-9]{{4}}(?![0-9])|[0-9]{{6}}(?![0-9])|[0-9]{{1,2}}[-./][0-9]{{1,2}}[-./](?:[0-9]{{4}}|[0-9]{{2}})(?![0-9])"
)
_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]{0,6}\.?"
_WORDED_DATE = rf"{_MONTH}\s[0-9]{{1,2}}(?:st|nd|rd|th)?,?\s[0-9]{{4}}|[0-9]{{1,2}}(?:st|nd|rd|th)?\s(?:of\s)?{_MONTH},?\s[0-9]{{4}}"
_BIRTH = one_of(
    *("생년월일", "생일", "출생일?자?", r"출생\s?연월일", r"태어난\s?날", r"date\sof\sbirth", r"birth\s?da(?:te|y)"),
    *(r"d(?<![a-z].)\.?o\.?b\.?", r"b(?<![a-z].)orn(?:\son)?"),
)

_CORPORATE = one_of(r"법인\s?(?:등록)?\s?번호", "corporate (?:registration )?(?:number|no)")
_INSURANCE = one_of(r"건강\s?보험증?", "health insurance(?: card)?")
_LICENCE = one_of(r"운전\s?면허증?", r"면허\s?번호", r"driv(?:er'?s?|ing)\s?licen[cs]e")
_BUSINESS = one_of(
    *(r"사업자\s?(?:등록)?\s?번호", "사업자", r"business\s(?:registration\s)?(?:number|no)", r"b(?<!\w.)rn")
)


def _is_business(match: re.Match[str]) -> bool:
    return is_business_number(digits_of(match[0]))


def _is_iban(match: re.Match[str]) -> bool:
    return is_iban(match[0].replace(" ", ""))


def _is_account_length(match: re.Match[str]) -> bool:
    """Shorter ones are years and dates, longer ones counters."""
    return 9 <= len(digits_of(match["value"])) <= 16


# found before registration numbers, whose shape some of them share
LABELLED_NUMBERS: tuple[Detector, ...] = (
    *detectors(
        PersonalKind.CORPORATE_NUMBER,
        rf"{_CORPORATE}{LINK}(?P<value>[0-9]{{6}}[- ]?[0-9]{{7}})(?![0-9])",
        anchors=("법인", "corporate"),
    ),
    *detectors(
        PersonalKind.HEALTH_INSURANCE_NUMBER,
        rf"{_INSURANCE}\s?(?:번호|number|no\.?|id){LINK}(?P<value>[0-9](?:[- ]?[0-9]){{9,11}})(?![0-9])",
        anchors=("보험", "insurance"),
    ),
    *detectors(
        PersonalKind.DRIVING_LICENCE,
        rf"[12]{LEFT}(?:(?<=1)[1-9]|(?<=2)[0-8])-[0-9]{{2}}-[0-9]{{6}}-[0-9]{{2}}{RIGHT}",
        trait=Trait.TWO_FIVE,
        numeric=True,
    ),
    *detectors(
        PersonalKind.DRIVING_LICENCE,
        rf"{_LICENCE}{LINK}"
        r"(?P<value>(?:[가-힣]{2}|[0-9]{2})[- ]?[0-9]{2}[- ]?[0-9]{6}[- ]?[0-9]{2}(?![0-9])|[A-Z]{0,2}[0-9]{6,9}(?![0-9A-Z]))",
        anchors=("면허", "licen"),
    ),
    *detectors(
        PersonalKind.PASSPORT,
        rf"{one_of('여권', 'passport')}{LINK}(?P<value>[A-Z]{{1,2}}[0-9]{{7,8}}|[A-Z][0-9]{{3}}[A-Z][0-9]{{4}}|[0-9]{{9}})(?![0-9A-Za-z])",
        trait=Trait.DIGITS_2,
        anchors=("여권", "passport"),
    ),
    *detectors(
        PersonalKind.BUSINESS_NUMBER,
        rf"{_BUSINESS}{LINK}(?P<value>[0-9]{{3}}[- ]?[0-9]{{2}}[- ]?[0-9]{{5}})(?![0-9])",
        anchors=("사업자", "business", "brn"),
    ),
    *detectors(
        PersonalKind.BUSINESS_NUMBER,
        rf"[0-9]{LEFT}[0-9]{{2}}-[0-9]{{2}}-[0-9]{{5}}{RIGHT}",
        accepts=_is_business,
        trait=Trait.TWO_FIVE,
        numeric=True,
    ),
    *detectors(
        PersonalKind.BIRTH_DATE,
        rf"{_BIRTH}{LINK}(?P<value>{_DATE}|{_WORDED_DATE})",
        anchors=("생년", "생일", "출생", "태어난", "birth", "born", "dob", "d.o.b"),
        trait=Trait.DIGITS_2,
    ),
    *detectors(
        PersonalKind.BIRTH_DATE,
        rf"(?<![0-9])(?P<value>{_DATE})\.?\s?(?:출)?생(?![가-힣])",
        rf"(?<![0-9])(?P<value>{_DATE})\.?\s?(?:출)?생(?=입니다|이다|이고|이며|으로|이에요)",
        rf"(?<![0-9])(?P<value>{_DATE})에\s태어",
        trait=Trait.BORN,
    ),
)
ACCOUNTS: tuple[Detector, ...] = (
    *detectors(
        PersonalKind.BANK_ACCOUNT,
        rf"{_ACCOUNT_CUE}[^0-9\n]{{0,14}}(?P<value>{_ACCOUNT}|[0-9]{{10,14}}){RIGHT}",
        anchors=_BANK_WORDS + _BANK_NAMES,
        accepts=_is_account_length,
        trait=Trait.ACCOUNT,
        near=_NEAR_ACCOUNT,
    ),
    *detectors(
        PersonalKind.BANK_ACCOUNT,
        rf"(?P<value>[0-9]{LEFT}(?:[0-9]{{1,5}}-[0-9]{{2,6}}-[0-9]{{2,8}}(?:-[0-9]{{1,4}})?|[0-9]{{9,13}}))\s?[(,]?\s?(?:예금주|(?:{_BANKS})(?:은행|뱅크)?|으?로\s(?:입금|송금|이체|보내))",
        anchors=_BANK_WORDS + _BANK_NAMES,
        accepts=_is_account_length,
        trait=Trait.ACCOUNT,
    ),
    *detectors(
        PersonalKind.BANK_ACCOUNT,
        rf"(?:bank\s)?account\s?(?:number|no\.?|num\.?|#){LINK}(?P<value>[0-9][0-9 \-]{{6,18}}[0-9]){RIGHT}",
        rf"routing\s?(?:number|no\.?|#){LINK}(?P<value>[0-9]{{9}}){RIGHT}",
        rf"(?:acct|a/c)\.?\s?(?:number|no\.?|#)?{LINK}(?P<value>[0-9][0-9\-]{{7,18}}[0-9]){RIGHT}",
        anchors=("account", "routing", "acct", "a/c"),
    ),
    *detectors(
        PersonalKind.BANK_ACCOUNT,
        r"(?-i:[A-Z](?<![0-9A-Za-z].)[A-Z][0-9]{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?)(?![0-9A-Za-z])",
        accepts=_is_iban,
        trait=Trait.IBAN,
    ),
)
# private, rented, taxis and lorries; 차카타파 of plates before 1996, 육해공국합 of the forces
_PLATE_LETTER = "가나다라마거너더러머버서어저고노도로모보소오조구누두루무부수우주하허호바사아자배차카타파육해공국합"
_REGION = "서울|부산|대구|인천|광주|대전|울산|세종|경기|강원|충북|충남|전북|전남|경북|경남|제주"
_PLATE_LABEL = one_of("차량", "번호판", "차번호", "자동차", "plate")
# letters that count or join words as well: "12조 3456억", "30도 2015"
_PLAIN_PLATE_LETTER = "가나다라마거너더러머버서어저고노모보소오누두루무하허바아자배"
_NO_UNIT = r"(?![0-9A-Za-z]|\s?[만억원년월개명건번회호장대km%℃도])"
PLATES: tuple[Detector, ...] = (
    *detectors(
        PersonalKind.VEHICLE_PLATE,
        rf"(?<![0-9A-Za-z가-힣])(?:{_REGION})\s?[0-9]{{1,2}}\s?[{_PLATE_LETTER}]\s?[0-9]{{4}}{_NO_UNIT}",
        rf"[0-9]{LEFT}(?<![0-9],.)[0-9]{{1,2}}[{_PLAIN_PLATE_LETTER}]\s?[0-9]{{4}}{_NO_UNIT}",
        rf"[0-9]{LEFT}(?<!제.)(?<![0-9],.)[0-9]{{1,2}}[{_PLATE_LETTER}][0-9]{{4}}{_NO_UNIT}",
        rf"{_PLATE_LABEL}\s?(?:등록)?{LINK}(?P<value>[0-9]{{2,3}}\s?[{_PLATE_LETTER}]\s?[0-9]{{4}})(?![0-9])",
        trait=Trait.PLATE,
    ),
    *detectors(
        PersonalKind.VEHICLE_PLATE,
        rf"licen[cs]e\splate{LINK}(?P<value>(?-i:[A-Z0-9]{{2,4}}[- ]?[A-Z0-9]{{2,4}}))(?![0-9A-Za-z])",
        trait=Trait.DIGITS_2,
        anchors=("plate",),
    ),
)

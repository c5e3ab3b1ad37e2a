"""Shapes of postal addresses: Korean road-name and lot-number forms, and street addresses in English.

A bare street name with a number is no address ("순서대로 3"); a region, a district or a label must stand before it.
"""

import re

from loopwright.personal.kinds import LINK, Detector, Near, PersonalKind, Trait, detectors

_REGION = (
    r"(?:서울|부산|대구|인천|광주|대전|울산|세종|경기|강원|충북|충남|전북|전남|경북|경남|제주|충청북|충청남|전라북|전라남|경상북|경상남)"
    r"(?:특별자치시|특별자치도|특별시|광역시|시|도)?"
)
_DISTRICT = r"[가-힣]{1,5}[시군구]"
_VILLAGE = r"[가-힣0-9]{1,7}[읍면동리가]"
_PLACE = rf"(?:(?<![가-힣])(?:{_REGION}\s{{0,2}}(?:{_DISTRICT}\s{{1,2}}){{0,2}}|(?:{_DISTRICT}\s{{1,2}}){{1,2}}))"
_ROAD = r"[가-힣0-9·]{1,10}?(?:대로|로|길)(?:\s?[0-9]{1,4}(?:번?가?길|번로))?"
_NUMBER = r"(?:지하\s?)?[0-9]{1,4}(?:-[0-9]{1,4})?(?![0-9]|[,.][0-9]|[년월시분초개명원차]|\s[년월시분초개명원차](?![가-힣]{2}))"
# nothing behind but a particle: 센터에서, never 센터장
_END = r"(?![가-힣](?<![에으로의은는이가을를입과와까]))"
_BUILDING = (
    r"(?:아파트|빌라|빌딩|타워|오피스텔|맨션|주공|하우스|상가|자이|래미안|푸르지오|힐스테이트|센터|회관|청사|별관|본관|신관|스퀘어|플라자|프라자|팰리스"
    rf"|캐슬|파크|시티|밸리|타운|캠퍼스|연구[소원]|기숙사|원룸|주택|고시원|호텔|병원|학교|공장|(?<=[가-힣])역){_END}"
)
_FLAT = (
    rf"(?:제?[0-9]{{1,4}}동|[A-Z가나다라마바사]동){_END}"
    r"|(?:지하|제|B)?\s?[0-9]{1,3}(?:[~,·\-][0-9]{1,3})?층"
    r"|제?[A-Z]?[0-9]{1,4}(?:-[0-9]{1,4})?호(?![선기차])(?:실)?"
)
_WORD = r"[가-힣A-Za-z0-9·&]{1,14}"
_VILLAGE_IN_BRACKETS = r"(?:,?\s{0,2}\([가-힣0-9][가-힣A-Za-z0-9·,.\- ]{1,30}\))?"
# a building is told by its last syllables, by a flat behind it, or by ending the line
_DETAIL = (
    rf"{_VILLAGE_IN_BRACKETS}"
    rf"(?:,?\s{{0,2}}[가-힣A-Za-z0-9·&]{{0,14}}{_BUILDING}|,?\s{{1,2}}{_WORD}(?=\s(?:{_FLAT}))"
    rf"|,\s{{1,2}}(?:{_WORD}\s){{1,2}}(?:(?={_FLAT})|[가-힣A-Za-z0-9]{{0,12}}{_BUILDING})"
    r"|,\s{1,2}[가-힣A-Za-z]{4,16}(?<![다요죠까음함게서는를을면고])(?=[ \t]{0,2}(?:\n|$))){0,2}"
    rf"(?:,?\s{{0,2}}(?:{_FLAT})){{0,3}}(?:\s(?:인근|부근|근처|맞은편|건너편)(?![가-힣]))?"
    rf"{_VILLAGE_IN_BRACKETS}"
)
_HOUSE = r"(?:아파트|빌라|오피스텔|맨션|주공|자이|래미안|푸르지오|힐스테이트)"
_LABELS = ("주소", "거주지", "소재지", "배송지", "본적", "사는")
_LABEL = rf"(?:주소|거주지|소재지|배송지|본적|사는\s?곳){LINK}"
_STREET = "Street|St|Avenue|Ave|Road|Rd|Boulevard|Blvd|Lane|Ln|Drive|Dr|Court|Ct|Way|Place|Pl|Square|Sq|Terrace|Parkway|Pkwy|Highway|Hwy|Circle|Close"
_UNIT = r"(?:,?\s(?:Apt|Apartment|Suite|Ste|Unit|Floor|Flat|#)\.?\s?#?[0-9A-Za-z\-]{1,6})?"
_CITY = r"(?:,\s(?:[A-Z][a-z]+\s?){1,3})?(?:,?\s(?:[A-Z]{2}\s[0-9]{5}(?:-[0-9]{4})?|[A-Z]{1,2}[0-9][0-9A-Z]?\s[0-9][A-Z]{2}))?"
# cheap to look for, and each form has its own
_PLACE_WORDS = (
    *("서울", "부산", "대구", "인천", "광주", "대전", "울산", "세종", "경기", "강원", "충북", "충남", "전북", "전남"),
    *("경북", "경남", "제주", "충청", "전라", "경상", "시 ", "군 ", "구 "),
)


def _near(ends: str) -> Near:
    """A number behind one of the syllables that end the names of roads or villages."""
    return Near(re.compile(rf"[{ends}](?=\s{{0,2}}(?:산\s?)?(?:지하\s?)?[0-9])"), before=60, after=400)


ADDRESSES: tuple[Detector, ...] = (
    *detectors(
        PersonalKind.ADDRESS,
        rf"{_PLACE}(?:{_VILLAGE}\s{{1,2}})?{_ROAD}\s?{_NUMBER}{_DETAIL}",
        anchors=_PLACE_WORDS,
        trait=Trait.PLACE,
        near=_near("로길"),
    ),
    *detectors(
        PersonalKind.ADDRESS,
        rf"{_PLACE}(?:{_VILLAGE}\s{{1,2}}){{0,2}}{_VILLAGE}\s{{0,2}}(?:산\s?)?{_NUMBER}(?:번지)?{_DETAIL}",
        anchors=_PLACE_WORDS,
        trait=Trait.PLACE,
        near=_near("읍면동리가"),
    ),
    *detectors(
        PersonalKind.ADDRESS,
        rf"(?<![가-힣])[가-힣]{{1,5}}[읍면동리]\s{{0,2}}(?:산\s?)?[0-9]{{1,4}}(?:-[0-9]{{1,4}})?번지{_DETAIL}",
        r"(?<![가-힣])[가-힣]{2,8}(?:대로|로|길)\s?[0-9]{1,4}(?:번길\s?[0-9]{1,4})?(?:-[0-9]{1,4})?,?\s(?:[0-9]{1,4}동\s)?(?:[0-9]{1,3}층\s?)?[0-9]{1,4}호",
        rf"(?:{_PLACE}(?:{_VILLAGE}\s{{1,2}})?)?(?<![가-힣])[가-힣]{{2,8}}{_HOUSE}\s{{0,2}}[0-9]{{1,4}}동\s{{0,2}}[0-9]{{1,4}}호",
        trait=Trait.HOUSE,
    ),
    *detectors(
        PersonalKind.ADDRESS,
        rf"{_LABEL}(?P<value>(?:{_PLACE})?(?:{_VILLAGE}\s{{1,2}})?{_ROAD}\s?{_NUMBER}{_DETAIL})",
        anchors=_LABELS,
        trait=Trait.PLACE,
    ),
    *detectors(
        PersonalKind.ADDRESS,
        rf"{_LABEL}(?P<value>{_PLACE}{_VILLAGE}(?:\s{{0,2}}{_NUMBER}{_DETAIL})?)",
        trait=Trait.DWELLING,
    ),
    *detectors(
        PersonalKind.ADDRESS,
        rf"(?-i:[0-9](?<![0-9A-Za-z.\-].)[0-9]{{0,4}}[A-Z]?,?\s(?:[NSEW]\.?\s)?(?:(?:[A-Z][a-z']+|[0-9]{{1,3}}(?:st|nd|rd|th))\s){{1,3}}(?:{_STREET})\b\.?{_UNIT}{_CITY})",
        trait=Trait.STREET,
    ),
    *detectors(
        PersonalKind.ADDRESS,
        r"(?-i:[0-9](?<![0-9A-Za-z.\-].)[0-9]{0,3}(?:-[0-9]{1,4})?,?\s(?:[A-Z][a-z]+(?:-?daero|-ro|-gil|-dong)\s?[0-9]{0,3}(?:-?gil)?)(?:,\s[A-Z][a-z]+-(?:gu|si|gun|dong|do))+(?:,\s[A-Z][a-z]+)?)",
        trait=Trait.DIGITS_2,
        anchors=("-ro", "-gil", "daero", "-dong"),
    ),
    *detectors(
        PersonalKind.ADDRESS,
        r"(?-i:\bP\.?\s?O\.?\s?Box\s[0-9]{1,6}\b)",
        anchors=("box",),
        trait=Trait.ANYTHING,
    ),
)

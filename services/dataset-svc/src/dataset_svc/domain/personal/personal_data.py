"""Finds personal data and secrets in a text."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from dataset_svc.domain.personal.detectors import DETECTORS, WITHOUT_DIGITS, Detector, PersonalKind
from dataset_svc.domain.personal.number_rules import digits_of
from dataset_svc.domain.personal.person_names import find_names
from dataset_svc.domain.personal.personal_kinds import NO_HINT

# full-width forms and the many dashes, one for one, so that places in the text stay the same
_PLAIN = {
    **{code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)},
    **dict.fromkeys((0x2010, 0x2011, 0x2012, 0x2013, 0x2014, 0x2212), ord("-")),
    **dict.fromkeys((0x00A0, 0x3000), ord(" ")),
}
_ODD = re.compile("[\uff01-\uff5e\u2010-\u2014\u2212\u00a0\u3000]")
PLACEHOLDERS = {
    PersonalKind.SECRET: "비밀키",
    PersonalKind.EMAIL: "이메일",
    PersonalKind.RESIDENT_NUMBER: "주민등록번호",
    PersonalKind.FOREIGNER_NUMBER: "외국인등록번호",
    PersonalKind.CARD_NUMBER: "카드번호",
    PersonalKind.PHONE: "전화번호",
    PersonalKind.IP_ADDRESS: "IP주소",
    PersonalKind.NAME: "이름",
    PersonalKind.ADDRESS: "주소",
    PersonalKind.BANK_ACCOUNT: "계좌번호",
    PersonalKind.BIRTH_DATE: "생년월일",
    PersonalKind.BUSINESS_NUMBER: "사업자등록번호",
    PersonalKind.CORPORATE_NUMBER: "법인등록번호",
    PersonalKind.DRIVING_LICENCE: "운전면허번호",
    PersonalKind.HEALTH_INSURANCE_NUMBER: "건강보험번호",
    PersonalKind.PASSPORT: "여권번호",
    PersonalKind.VEHICLE_PLATE: "차량번호",
}
# with the eight characters of a pseudonym or without
_PLACEHOLDER = re.compile(rf"\[(?:{'|'.join(PLACEHOLDERS.values())})(?:-[0-9a-f]{{8}})?\]")
_NOTHING = "\ue000"  # private use: stands in no word, number or label


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Where in a text something personal stands."""

    kind: PersonalKind
    start: int
    end: int


def find_personal_data(text: str) -> tuple[Finding, ...]:
    """Everything personal in a text, from left to right, without overlaps; placeholders are never looked into."""
    plain = text.translate(_PLAIN) if _ODD.search(text) else text
    if "[" in plain:
        plain = _PLACEHOLDER.sub(lambda match: _NOTHING * len(match[0]), plain)
    taken: list[Finding] = []
    occupied = bytearray()
    for finding in _candidates(plain):
        occupied = occupied or bytearray(len(text))
        if not any(occupied[finding.start : finding.end]):
            occupied[finding.start : finding.end] = b"\1" * (finding.end - finding.start)
            taken.append(finding)
    if len(taken) > 1:
        taken.sort(key=lambda finding: finding.start)
    return tuple(taken)


def _groups() -> tuple[tuple[tuple[str, ...], re.Pattern[str], tuple[Detector, ...]], ...]:
    """Neighbours that look for the same anchors and hint, so that those are looked for once."""
    groups: list[tuple[tuple[str, ...], re.Pattern[str], tuple[Detector, ...]]] = []
    for detector in DETECTORS:
        if groups and groups[-1][:2] == (detector.anchors, detector.hint):
            groups[-1] = (detector.anchors, detector.hint, (*groups[-1][2], detector))
        else:
            groups.append((detector.anchors, detector.hint, (detector,)))
    return tuple(groups)


_GROUPS = _groups()
_DIGIT = re.compile("[0-9]")
# every hint that has no match without a digit; the others look for words and long runs of letters
_NEED_DIGITS = tuple({hint for _, hint, _ in _GROUPS} - WITHOUT_DIGITS)


def _candidates(text: str) -> Iterator[Finding]:
    lowered = text.lower()
    hinted = dict.fromkeys(_NEED_DIGITS, False) if _DIGIT.search(text) is None else {}
    hinted[NO_HINT] = True
    for anchors, hint, members in _GROUPS:
        if hinted.get(hint) is False or (anchors and not _holds_any(lowered, anchors)):
            continue
        if hint not in hinted:
            hinted[hint] = hint.search(text) is not None
        if hinted[hint]:
            for detector in members:
                yield from _matches(detector, text)
    for start, end in find_names(text):
        yield Finding(kind=PersonalKind.NAME, start=start, end=end)


def _holds_any(text: str, anchors: tuple[str, ...]) -> bool:
    for anchor in anchors:  # noqa: SIM110 - half the time of any() over a generator
        if anchor in text:
            return True
    return False


def _matches(detector: Detector, text: str) -> Iterator[Finding]:
    group = detector.group
    for match in detector.shape.finditer(text):
        if detector.accepts(match):
            kind = _exact_kind(detector.kind, match[group])
            yield Finding(kind=kind, start=match.start(group), end=match.end(group))


def _exact_kind(kind: PersonalKind, value: str) -> PersonalKind:
    """The seventh digit of a registration number tells foreigners (5 to 8) from residents."""
    if kind is PersonalKind.RESIDENT_NUMBER and digits_of(value)[6:7] in tuple("5678"):
        return PersonalKind.FOREIGNER_NUMBER
    return kind

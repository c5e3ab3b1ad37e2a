"""Finds personal data and secrets in a text."""

import re
import threading
from collections.abc import Sequence
from functools import cache
from itertools import chain, groupby
from operator import attrgetter

import msgspec
import numpy as np

from dataset_svc.domain.personal.detectors import DETECTORS, Detector, PersonalKind
from dataset_svc.domain.personal.number_rules import digits_of
from dataset_svc.domain.personal.person_names import NameFinder, Span
from dataset_svc.domain.personal.personal_kinds import ANYTHING
from dataset_svc.domain.personal.scanning import ODD, PLAIN_FORMS, Scan, anchors_of, groups_anchored, scan

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


class Finding(msgspec.Struct, frozen=True, gc=False):
    """Where in a text something personal stands."""

    kind: PersonalKind
    start: int
    end: int


# neighbours that ask for the same are asked for it once; a group's bit is 1 << its place
_GROUPS = tuple(
    (trait, anchors, tuple(members))
    for (trait, anchors), members in groupby(DETECTORS, key=lambda detector: (detector.trait, detector.anchors))
)
_ANCHORS = anchors_of([anchors for _, anchors, _ in _GROUPS])


def _askable(seen: Scan) -> list[int]:
    """Of each text, the bits of the groups whose shapes it can hold."""
    anchored = groups_anchored(seen.codes, seen.starts, _ANCHORS)
    bits = np.zeros(len(anchored), dtype=np.int64)
    for place, (trait, anchors, _) in enumerate(_GROUPS):
        holds = (anchored >> place & 1).astype(np.bool_) if anchors else np.ones(len(bits), dtype=np.bool_)
        if trait != ANYTHING:
            holds &= (seen.traits & trait) != 0
        bits |= holds.astype(np.int64) << place
    return bits.tolist()


@cache
def _detectors_of(groups: int) -> tuple[Detector, ...]:
    return tuple(chain.from_iterable(members for place, (*_, members) in enumerate(_GROUPS) if groups >> place & 1))


class Finder:
    """Finds in batches, which costs a fraction of text by text; a text's findings do not depend on its batch."""

    def __init__(self) -> None:
        self._names = NameFinder()
        self._lock = threading.Lock()

    def find(self, texts: Sequence[str]) -> list[tuple[Finding, ...]]:
        """Everything personal in each text, from left to right, without overlaps; placeholders are never looked into.

        Threads may call it; one at a time works.
        """
        with self._lock:
            return self._find(texts)

    def _find(self, texts: Sequence[str]) -> list[tuple[Finding, ...]]:
        plain = [_without_placeholders(text) for text in texts]
        seen = scan(plain)
        for number in np.flatnonzero(seen.traits & ODD).tolist():
            plain[number] = plain[number].translate(PLAIN_FORMS)
        names = self._names.find(plain, seen)
        return [
            _found(text, groups, names.get(number, ())) if groups or number in names else ()
            for number, (text, groups) in enumerate(zip(plain, _askable(seen), strict=True))
        ]


@cache
def shared_finder() -> Finder:
    """One for all who look at a text now and then: what it remembers takes megabytes."""
    return Finder()


def _without_placeholders(text: str) -> str:
    return _PLACEHOLDER.sub(lambda match: _NOTHING * len(match[0]), text) if "[" in text else text


def _found(text: str, groups: int, names: Sequence[Span]) -> tuple[Finding, ...]:
    """Findings in order of precedence, of which each takes its place for itself."""
    found: list[Finding] = []
    for detector in _detectors_of(groups):
        group = detector.group
        found += [
            Finding(_exact_kind(detector.kind, match[group]), *match.span(group))
            for match in detector.shape.finditer(text)
            if detector.accepts(match)
        ]
    found += [Finding(PersonalKind.NAME, start, end) for start, end in names]
    if len(found) < 2:
        return tuple(found)
    occupied = bytearray(len(text))
    taken: list[Finding] = []
    for one in found:
        if not any(occupied[one.start : one.end]):
            occupied[one.start : one.end] = b"\1" * (one.end - one.start)
            taken.append(one)
    taken.sort(key=attrgetter("start"))
    return tuple(taken)


def _exact_kind(kind: PersonalKind, value: str) -> PersonalKind:
    """The seventh digit of a registration number tells foreigners (5 to 8) from residents."""
    if kind is PersonalKind.RESIDENT_NUMBER and digits_of(value)[6:7] in tuple("5678"):
        return PersonalKind.FOREIGNER_NUMBER
    return kind

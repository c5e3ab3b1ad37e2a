"""Finds personal data and secrets in a text."""

from collections.abc import Iterator
from dataclasses import dataclass

from dataset_svc.domain.detectors import DETECTORS, PersonalKind
from dataset_svc.domain.number_rules import digits_of

# full-width forms and the many dashes, one for one, so that places in the text stay the same
_PLAIN = {
    **{code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)},
    **dict.fromkeys((0x2010, 0x2011, 0x2012, 0x2013, 0x2014, 0x2212), ord("-")),
    **dict.fromkeys((0x00A0, 0x3000), ord(" ")),
}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Where in a text something personal stands."""

    kind: PersonalKind
    start: int
    end: int


def find_personal_data(text: str) -> tuple[Finding, ...]:
    """Everything personal in a text, from left to right, without overlaps."""
    taken: list[Finding] = []
    occupied = bytearray(len(text))
    for finding in _candidates(text.translate(_PLAIN)):
        if not any(occupied[finding.start : finding.end]):
            occupied[finding.start : finding.end] = b"\1" * (finding.end - finding.start)
            taken.append(finding)
    return tuple(sorted(taken, key=lambda finding: finding.start))


def _candidates(text: str) -> Iterator[Finding]:
    for detector in DETECTORS:
        for match in detector.shape.finditer(text):
            if detector.accepts(match):
                group = "value" if "value" in detector.shape.groupindex else 0
                kind = _exact_kind(detector.kind, match[group])
                yield Finding(kind=kind, start=match.start(group), end=match.end(group))


def _exact_kind(kind: PersonalKind, value: str) -> PersonalKind:
    """The seventh digit of a registration number tells foreigners (5 to 8) from residents."""
    if kind is PersonalKind.RESIDENT_NUMBER and digits_of(value)[6:7] in tuple("5678"):
        return PersonalKind.FOREIGNER_NUMBER
    return kind

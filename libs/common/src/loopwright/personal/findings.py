"""Personal data and secrets in one text, by shape alone: what needs lists of words or many texts at once is not here."""

import re
from collections.abc import Iterable, Sequence
from operator import attrgetter

import msgspec

from loopwright.personal.detectors import DETECTORS
from loopwright.personal.kinds import PLACEHOLDERS, Detector, PersonalKind, Trait
from loopwright.personal.number_rules import digits_of

# with the eight characters of a pseudonym or without
_PLACEHOLDER = re.compile(rf"\[(?:{'|'.join(PLACEHOLDERS.values())})(?:-[0-9a-f]{{8}})?\]")
_NAME, _RESIDENT_NUMBER = PersonalKind.NAME, PersonalKind.RESIDENT_NUMBER  # looking them up takes longer than their use
_NOTHING = "\ue000"  # private use: stands in no word, number or label
_DASHES = "\u2010\u2011\u2012\u2013\u2014\u2212"
# full-width forms, dashes and spaces are read as plain ones
_PLAIN = (
    {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
    | dict.fromkeys(map(ord, _DASHES), "-")
    | {0xA0: " ", 0x3000: " "}
)
# what each trait stands for; a shape that needs it finds nothing where this does not stand
TRAIT_SHAPES = {
    Trait.DIGITS_2: re.compile(r"[0-9]{2}"),
    Trait.LONG_NUMBER: re.compile(r"[0-9](?:[ .\-()]{0,3}[0-9]){6}"),
    Trait.LONG_RUN: re.compile(r"[A-Za-z0-9+/_\-.=~]{16}"),
    Trait.AT_SIGN: re.compile("@"),
    Trait.IPV4: re.compile(r"[0-9]\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]"),
    Trait.IPV6: re.compile(r"[0-9A-Fa-f]::|:[0-9A-Fa-f]{1,4}:"),
    Trait.PLACE: re.compile(r"[읍면동리가로길산하]\s{0,2}[0-9]"),
    Trait.HOUSE: re.compile(r"번지|[0-9]호"),
    Trait.PLATE: re.compile(r"[0-9]\s?[가-힣]\s?[0-9]{4}"),
    Trait.STREET: re.compile(r"[0-9][A-Z]?,? [A-Z0-9]"),
    Trait.BORN: re.compile(r"[0-9일]\.?\s?(?:출?생|에\s태)"),
    Trait.DWELLING: re.compile(r"(?:주소|거주지|소재지|배송지|본적|사는\s?곳)(?:[^가-힣]|[은는이가번])"),
}
# the same of texts with a long number
NUMBER_SHAPES = {
    Trait.RUN_13: re.compile(r"[0-9]{13}"),
    Trait.ABROAD: re.compile(r"\+[1-9]"),
    Trait.SIX_HYPHEN: re.compile(r"[0-9]{6} ?- ?[0-9]"),
    Trait.TWO_FIVE: re.compile(r"[0-9]{2}-[0-9]{2}-[0-9]{5}"),
    Trait.FOURS: re.compile(r"[0-9]{4}[ -](?:[0-9]{4}[ -][0-9]{4}|[0-9]{6}[ -][0-9]{5})"),
    Trait.GROUPED: re.compile(r"[-. )][0-9]{3,4}[-. ]?[0-9]{4}"),
    Trait.ACCOUNT: re.compile(r"[0-9]{10}|[0-9]{2}-[0-9]{2,6}-[0-9]{2}"),
    Trait.IBAN: re.compile(r"[A-Z]{2}[0-9]{2}"),
}


class Finding(msgspec.Struct, frozen=True, gc=False):
    """Where in a text something personal stands."""

    kind: PersonalKind
    start: int
    end: int


class ShapeFinder:
    """Finds what has a shape: numbers, addresses, secrets; names of persons have none."""

    def find(self, texts: Sequence[str]) -> list[tuple[Finding, ...]]:
        """Findings of each text, from left to right, without overlaps; placeholders are never looked into."""
        return [self._find(without_placeholders(text)) for text in texts]

    def _find(self, text: str) -> tuple[Finding, ...]:
        if not text.isascii():
            text = text.translate(_PLAIN)
        lowered = text.lower()
        traits = {trait for trait, shape in TRAIT_SHAPES.items() if shape.search(text)} | {Trait.ANYTHING}
        if Trait.LONG_NUMBER in traits:
            traits |= {trait for trait, shape in NUMBER_SHAPES.items() if shape.search(text)}
        asked = (
            detector
            for detector in DETECTORS
            if detector.trait in traits and (not detector.anchors or _holds_any(lowered, detector.anchors))
        )
        return settle(text, asked)


def settle(
    text: str,
    detectors: Iterable[Detector],
    *,
    names: Sequence[tuple[int, int]] = (),
    numbers: tuple[int, int] | None = None,
) -> tuple[Finding, ...]:
    """Findings in order of precedence, of which each takes its place for itself; names come last.

    Args:
        numbers: Between where all long numbers stand, if that is known.
    """
    found: list[Finding] = []
    for detector in detectors:
        for match in detector.matches(text, numbers):
            if detector.accepts(match):
                group = detector.group
                found.append(Finding(_exact_kind(detector.kind, match[group]), *match.span(group)))
    found += [Finding(_NAME, start, end) for start, end in names]
    if len(found) < 2:
        return tuple(found)
    occupied = bytearray(len(text))
    taken: list[Finding] = []
    for one in found:
        if occupied.find(1, one.start, one.end) < 0:
            occupied[one.start : one.end] = b"\1" * (one.end - one.start)
            taken.append(one)
    taken.sort(key=attrgetter("start"))
    return tuple(taken)


def without_placeholders(text: str) -> str:
    """The text, as long as it was, with nothing where placeholders stood."""
    return _PLACEHOLDER.sub(lambda match: _NOTHING * len(match[0]), text) if "[" in text else text


def _exact_kind(kind: PersonalKind, value: str) -> PersonalKind:
    """The seventh digit of a registration number tells foreigners (5 to 8) from residents."""
    if kind is _RESIDENT_NUMBER and digits_of(value)[6:7] in tuple("5678"):
        return PersonalKind.FOREIGNER_NUMBER
    return kind


def _holds_any(text: str, words: tuple[str, ...]) -> bool:
    for word in words:  # noqa: SIM110 - half the time of any() over a generator
        if word in text:
            return True
    return False

"""Kinds of personal data, and what a detector is: a shape, the words that it needs, and a test of what it matched."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum


class Trait(StrEnum):
    """What a text must have for some shape to stand in it."""

    ANYTHING = "anything"
    DIGITS_2 = "two digits"
    LONG_NUMBER = "seven digits, with the signs that stand in numbers between them"
    LONG_RUN = "sixteen letters, digits and signs as keys have them"
    AT_SIGN = "an at sign"
    IPV4 = "four numbers with dots between"
    IPV6 = "hexadecimal digits between colons"
    PLACE = "a digit behind a syllable that ends the names of roads and villages"
    HOUSE = "the word for a lot, or a number of a flat"
    PLATE = "digits, a syllable, four digits"
    STREET = "a number before a capital"
    BORN = "a date before the word for birth"
    DWELLING = "words for where somebody lives, before what links them to a place"
    # of texts with a long number only
    RUN_13 = "a long number, and thirteen digits in a row"
    ABROAD = "a long number, and a plus before a digit"
    SIX_HYPHEN = "a long number, and six digits, a hyphen and a digit"
    TWO_FIVE = "a long number, and two digits, two and five with hyphens between"
    FOURS = "a long number, and digits in groups as cards have them"
    GROUPED = "a long number, and the last two groups of a phone number behind a sign"
    ACCOUNT = "a long number, and ten digits in a row or three groups with hyphens between"
    IBAN = "a long number, and two capitals before two digits"


class PersonalKind(StrEnum):
    """What was found."""

    SECRET = "secret"  # noqa: S105 - a kind, not a secret
    EMAIL = "email"
    RESIDENT_NUMBER = "resident_number"
    FOREIGNER_NUMBER = "foreigner_number"
    CARD_NUMBER = "card_number"
    PHONE = "phone"
    IP_ADDRESS = "ip_address"
    NAME = "name"
    ADDRESS = "address"
    BANK_ACCOUNT = "bank_account"
    BIRTH_DATE = "birth_date"
    BUSINESS_NUMBER = "business_number"
    CORPORATE_NUMBER = "corporate_number"
    DRIVING_LICENCE = "driving_licence"
    HEALTH_INSURANCE_NUMBER = "health_insurance_number"
    PASSPORT = "passport"
    VEHICLE_PLATE = "vehicle_plate"


@dataclass(frozen=True)
class Near:
    """What stands in whatever a costly shape matches, and is found cheaply, so that the shape is looked for around it only.

    Attributes:
        shape: Matches at every such place.
        before: The most characters of a match that can stand before its first such place.
        after: The most characters that the shape can look at from where it begins on.
    """

    shape: re.Pattern[str]
    before: int
    after: int


@dataclass(frozen=True)
class Detector:
    """A shape, what it means, and a test of what it matched; trait and anchors spare texts that cannot match.

    Attributes:
        shape: What it looks like, with what stands around it.
        group: The group of the shape that is personal; 0 if all of it is.
        near: Where it is looked for; None for the whole text.
        numeric: Whether every match is one long number (what has that trait), but for a sign before it and some behind.
        trait: What the text must have.
        anchors: Lower-case words of which the text must hold one; none means any text.
    """

    kind: PersonalKind
    shape: re.Pattern[str]
    accepts: Callable[[re.Match[str]], bool]
    trait: Trait
    anchors: tuple[str, ...]
    group: str | int
    near: Near | None = None
    numeric: bool = False

    def matches(self, text: str, numbers: tuple[int, int] | None = None) -> Iterator[re.Match[str]]:
        """Matches of the shape from left to right, without overlaps.

        Args:
            numbers: Between where all long numbers of the text stand, if that is known.
        """
        if self.numeric and numbers is not None:
            return self.shape.finditer(text, max(0, numbers[0] - 1), numbers[1] + _BEHIND_NUMBERS)
        return self.shape.finditer(text) if self.near is None else _matches_near(self.shape, self.near, text)


# more than the stars of a number and what a shape looks at behind them
_BEHIND_NUMBERS = 32


def _matches_near(shape: re.Pattern[str], near: Near, text: str) -> Iterator[re.Match[str]]:
    """The matches that `finditer` gives."""
    for first, last in _stretches(near, text):
        for match in shape.finditer(text, max(0, first - near.before), last + near.after):
            if match.start() > last:  # begins at no place, and may be cut short
                break
            yield match
            if match.end() > last:
                break


def _stretches(near: Near, text: str) -> Iterator[tuple[int, int]]:
    """The first and the last of places between which there is no room, so that no character is looked at twice."""
    first = last = -1
    for found in near.shape.finditer(text):
        place = found.start()
        if first < 0:
            first = place
        elif place - near.before > last + near.after:
            yield first, last
            first = place
        last = place
    if first >= 0:
        yield first, last


def anything(_match: re.Match[str]) -> bool:
    return True


def detectors(
    kind: PersonalKind,
    *shapes: str,
    trait: Trait = Trait.LONG_NUMBER,
    anchors: tuple[str, ...] = (),
    accepts: Callable[[re.Match[str]], bool] = anything,
    near: Near | None = None,
    numeric: bool = False,
) -> tuple[Detector, ...]:
    """One detector for each shape; letters match in either case unless a shape says `(?-i:...)`."""
    compiled = (re.compile(shape, re.IGNORECASE) for shape in shapes)
    return tuple(
        Detector(kind, shape, accepts, trait, anchors, "value" if "value" in shape.groupindex else 0, near, numeric)
        for shape in compiled
    )


def one_of(*words: str, behind: str = "") -> str:
    """Any of the shapes, each of which begins with a character, in either case.

    All that they begin with stand in one set before them: a shape that begins with a set is looked for several times as fast.

    Args:
        behind: What must stand before it, as a look-behind from its second character.
    """
    rest: dict[str, list[str]] = {}
    for word in words:
        rest.setdefault(word[0], []).append(word[1:])
    heads = "".join(dict.fromkeys("".join(head + head.upper() + _ALSO.get(head, "") for head in rest)))
    told = (f"(?<={head})(?:{'|'.join(ends)})" for head, ends in rest.items())
    return f"(?-i:[{heads}]){behind}(?:{'|'.join(told)})"


# what matches a small letter besides its capital
_ALSO = {"i": "\u0130\u0131", "k": "\u212a", "s": "\u017f"}
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
# not inside a word or number, nor joined to one by a sign that belongs to it: blk_-12, 3.14, 12-34. LEFT stands behind the
# first character of a shape, since a shape that begins with a character is looked for several times as fast
LEFT = r"(?<![0-9A-Za-z_].)(?<![0-9_][.\-].)"
RIGHT = r"(?![0-9A-Za-z_])(?![.\-][0-9])"
# what may stand between a label and its value: "번호는", "No.", "number is", quotes of JSON
LINK = r"(?:\s{0,2}(?:번호|number|no\.?|num|은|는|이|가|is|was)){0,3}[\"']?\s{0,3}[:=#(]?\s{0,3}[\"']?"

"""Kinds of personal data, and what a detector is: a shape, the words that it needs, and a test of what it matched."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from dataset_svc.domain.personal.scanning import LONG_NUMBER


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
class Detector:
    """A shape, what it means, and a test of what it matched; trait and anchors spare texts that cannot match.

    Attributes:
        shape: What it looks like, with what stands around it.
        group: The group of the shape that is personal; 0 if all of it is.
        trait: What the text must have, of `scanning`; 0 means any text.
        anchors: Lower-case words of which the text must hold one; none means any text.
    """

    kind: PersonalKind
    shape: re.Pattern[str]
    accepts: Callable[[re.Match[str]], bool]
    trait: int
    anchors: tuple[str, ...]
    group: str | int


def anything(_match: re.Match[str]) -> bool:
    return True


def detectors(
    kind: PersonalKind,
    *shapes: str,
    trait: int = LONG_NUMBER,
    anchors: tuple[str, ...] = (),
    accepts: Callable[[re.Match[str]], bool] = anything,
) -> tuple[Detector, ...]:
    """One detector for each shape; letters match in either case unless a shape says `(?-i:...)`."""
    compiled = (re.compile(shape, re.IGNORECASE) for shape in shapes)
    return tuple(
        Detector(kind, shape, accepts, trait, anchors, "value" if "value" in shape.groupindex else 0)
        for shape in compiled
    )


ANYTHING = 0  # no trait is asked for
# not inside a word or number, nor joined to one by a sign that belongs to it: blk_-12, 3.14, 12-34. LEFT stands behind the
# first character of a shape, since a shape that begins with a character is looked for several times as fast
LEFT = r"(?<![0-9A-Za-z_].)(?<![0-9_][.\-].)"
RIGHT = r"(?![0-9A-Za-z_])(?![.\-][0-9])"
# what may stand between a label and its value: "번호는", "No.", "number is", quotes of JSON
LINK = r"(?:\s{0,2}(?:번호|number|no\.?|num|은|는|이|가|is|was)){0,3}[\"']?\s{0,3}[:=#(]?\s{0,3}[\"']?"

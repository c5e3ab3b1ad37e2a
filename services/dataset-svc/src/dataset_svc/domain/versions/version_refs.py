"""Names of versions: branches that move, tags that stay, and how a version may be addressed."""

import re
from dataclasses import dataclass
from enum import StrEnum

from loopwright.errors import Conflict, Invalid, NotPermitted

MAIN = "main"
LATEST = "latest"
NAME_PATTERN = r"^[A-Za-z][A-Za-z0-9._\-]{0,99}$"
_NAME = re.compile(NAME_PATTERN)
_ID_PREFIX = "dsv-"
_NUMBER = re.compile(r"^v?([1-9][0-9]{0,8})$")


class RefKind(StrEnum):
    """Whether a name follows the work or marks a point in it."""

    BRANCH = "branch"
    TAG = "tag"


class AddressKind(StrEnum):
    """What an address of a version says."""

    ID = "id"
    NUMBER = "number"
    LATEST = "latest"
    NAME = "name"


@dataclass(frozen=True, kw_only=True)
class Address:
    """How somebody named a version of a dataset."""

    kind: AddressKind
    text: str
    number: int = 0


def parse_address(text: str) -> Address:
    """Reads `latest`, a number (`3` or `v3`), an id (`dsv-…`) or the name of a branch or tag.

    Raises:
        Invalid: it is none of them.
    """
    number = _NUMBER.fullmatch(text)
    if text == LATEST:
        return Address(kind=AddressKind.LATEST, text=text)
    if number is not None:
        return Address(kind=AddressKind.NUMBER, text=text, number=int(number[1]))
    if not _NAME.fullmatch(text):
        raise Invalid("dataset.bad-address", "a version is addressed by id, number, branch, tag or `latest`")
    return Address(kind=AddressKind.ID if text.startswith(_ID_PREFIX) else AddressKind.NAME, text=text)


def check_new_name(name: str, kind: RefKind) -> None:
    """Says no to names that could be mistaken for another address.

    Raises:
        Invalid: it could, or is no name.
    """
    if not _NAME.fullmatch(name):
        raise Invalid("dataset.bad-ref-name", "a name begins with a letter and has letters, digits, `.`, `_` and `-`")
    if parse_address(name).kind is not AddressKind.NAME:
        raise Invalid("dataset.bad-ref-name", "the name reads as an id, a number or `latest`", name=name)
    if name == MAIN and kind is not RefKind.BRANCH:
        raise Invalid("dataset.bad-ref-name", "main is the branch that new versions move", name=name)


def check_move(kind: RefKind, *, may_move_tags: bool, reason: str) -> None:
    """Branches move; a tag moves only by an admin who says why.

    Raises:
        NotPermitted: it is a tag, and this is no admin.
        Conflict: it is a tag, and no reason is given.
    """
    if kind is RefKind.BRANCH:
        return
    if not may_move_tags:
        raise NotPermitted("dataset.tag-immutable", "a tag stays where it is; only an admin may move or delete it")
    if not reason.strip():
        raise Conflict("dataset.tag-immutable", "a tag is moved or deleted only for a reason")


def check_delete(name: str, kind: RefKind, *, may_move_tags: bool, reason: str) -> None:
    """As a move; and the branch of new versions stays.

    Raises:
        Conflict: it is `main`, or a tag without a reason.
        NotPermitted: it is a tag, and this is no admin.
    """
    if name == MAIN:
        raise Conflict("dataset.main-stays", "main follows every new version and cannot be deleted")
    check_move(kind, may_move_tags=may_move_tags, reason=reason)

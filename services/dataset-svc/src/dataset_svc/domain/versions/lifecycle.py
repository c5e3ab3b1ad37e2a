"""What a dataset or version may become: active, then deprecated, then archived; never back."""

from enum import StrEnum

from loopwright.errors import Conflict


class Status(StrEnum):
    """Whether a dataset or a version may still be used."""

    ACTIVE = "active"
    DEPRECATED = "deprecated"
    ARCHIVED = "archived"


_ORDER = tuple(Status)


def is_before(current: Status, wanted: Status) -> bool:
    """Whether a step leads forward."""
    return _ORDER.index(current) < _ORDER.index(wanted)


def check_change(current: Status, wanted: Status) -> None:
    """Says no to a step that goes nowhere or back.

    Raises:
        Conflict: the step is not allowed.
    """
    if not is_before(current, wanted):
        raise Conflict("dataset.status-final", f"it is {current} already", current=str(current), wanted=str(wanted))

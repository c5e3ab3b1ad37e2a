"""Who a request is counted as: the unit that experiments assign, taken from what the request brought."""

from collections.abc import Sequence
from enum import StrEnum


class UnitSource(StrEnum):
    """Where a unit may come from."""

    USER = "user"
    HEADER = "header"
    CLAIM = "claim"
    COOKIE = "cookie"


def unit_order(text: str) -> tuple[UnitSource, ...]:
    """Sources in the order of a setting such as `user,header,claim,cookie`.

    Raises:
        ValueError: one is unknown, or named twice.
    """
    order = tuple(UnitSource(name.strip()) for name in text.split(",") if name.strip())
    if len(set(order)) < len(order):
        raise ValueError(f"{text!r} names a source of units twice")
    return order


def unit_of(
    order: Sequence[UnitSource],
    *,
    user: str | None = None,
    header: str | None = None,
    claim: str | None = None,
    cookie: str | None = None,
) -> str | None:
    """The first source that says something; None if none does: the request then is a unit of its own.

    Args:
        user: `user` of the request's body.
        header: Header that names the unit.
        claim: Claim of the caller's token.
        cookie: Session cookie.
    """
    brought = {
        UnitSource.USER: user,
        UnitSource.HEADER: header,
        UnitSource.CLAIM: claim,
        UnitSource.COOKIE: cookie,
    }
    return next((unit for source in order if (unit := brought[source])), None)

"""Escapes in JSON that is searched, not parsed."""

from typing import Final

_ESCAPE: Final = b"\\"


def has_escape(text: bytes) -> bool:
    """Whether anything in it is not written as itself."""
    # `in` would take the needle for a number first, and raise and catch an error of that each time
    return text.find(_ESCAPE) >= 0

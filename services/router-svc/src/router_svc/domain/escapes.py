"""Escapes in JSON that is searched, not parsed."""

from typing import Final

import msgspec

_ESCAPE: Final = b"\\"
_text = msgspec.json.Decoder(str)


def has_escape(text: bytes) -> bool:
    """Whether anything in it is not written as itself."""
    # `in` would take the needle for a number first, and raise and catch an error of that each time
    return text.find(_ESCAPE) >= 0


def storable(text: bytes) -> bytes:
    """A JSON string that PostgreSQL can keep: what stands for U+0000 there is the replacement character."""
    if has_escape(text) and b"\\u0000" in text:
        text = msgspec.json.encode(_text.decode(text).replace("\0", "\ufffd"))
    return text

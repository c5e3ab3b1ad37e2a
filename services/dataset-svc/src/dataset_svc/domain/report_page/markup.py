"""Builds HTML that is well-formed XML, with everything escaped that is not markup already."""

import re
from html import escape

# what XML cannot hold, and what turns the direction of the text around it
_UNFIT = re.compile(r"[^\t\n\x20-\x7e\xa0-\u2029\u202f-\u2065\u206a-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_VOID = frozenset({"meta", "br", "hr", "rect", "line", "path", "col"})

Attribute = str | int | float | None


class Markup(str):
    """Text that is markup and escaped already."""

    __slots__ = ()


def plain(text: str) -> Markup:
    """Any text as markup that shows it; what cannot be shown becomes U+FFFD."""
    return text if isinstance(text, Markup) else Markup(escape(_UNFIT.sub("\ufffd", text)))


def tag(name: str, /, *children: str, **attributes: Attribute) -> Markup:
    """One element. `data_value=` gives `data-value`, `class_=` gives `class`; attributes that are None are left out."""
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{plain(_written(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _VOID and not children:
        return Markup(f"<{name}{given}/>")
    return Markup(f"<{name}{given}>{''.join(map(plain, children))}</{name}>")


def joined(*parts: str) -> Markup:
    return Markup("".join(map(plain, parts)))


def _written(value: str | float) -> str:
    return f"{value:.6g}" if isinstance(value, float) and not value.is_integer() else str(value).removesuffix(".0")

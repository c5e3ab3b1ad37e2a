"""A document as clean text: what its headings are, where its pages begin, and how pieces of any format become one."""

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterable
from enum import StrEnum

import msgspec

from loopwright.errors import Invalid

_SPACES = re.compile(r"[^\S\n]+")
_BLANK_LINES = re.compile(r"\s*\n\s*\n\s*")
_KEPT_CONTROLS = frozenset("\n\t")


class DocumentFormat(StrEnum):
    """Formats that are read."""

    TEXT = "text"
    MARKDOWN = "markdown"
    HTML = "html"
    PDF = "pdf"
    DOCX = "docx"


class Block(msgspec.Struct, frozen=True, kw_only=True):
    """A paragraph or heading as it was read.

    Attributes:
        level: 1 to 6 for headings, 0 for everything else.
        page: Counted from 1; None where the format has no pages.
    """

    text: str
    level: int = 0
    page: int | None = None


class Heading(msgspec.Struct, frozen=True, kw_only=True):
    """A heading and where it stands, in characters of the document's text."""

    level: int
    title: str
    start: int


class DocumentText(msgspec.Struct, frozen=True, kw_only=True):
    """Clean text.

    Attributes:
        text: Blocks in order, a blank line between two.
        headings: In order of their place.
        page_starts: Offset of the first character of page 1, 2, ...; empty where the format has no pages.
    """

    text: str
    headings: tuple[Heading, ...]
    page_starts: tuple[int, ...]

    def page_at(self, offset: int) -> int | None:
        """Page, counted from 1, on which a character stands."""
        return bisect_right(self.page_starts, offset) or None

    @property
    def title(self) -> str:
        return self.headings[0].title if self.headings else self.text.split("\n", 1)[0][:200]


def clean(text: str) -> str:
    """NFC without control characters, lone surrogates and NUL; runs of spaces become one, line ends stay."""
    text = text.encode("utf-8", "ignore").decode().replace("\r\n", "\n").replace("\r", "\n")
    text = unicodedata.normalize("NFC", text)
    kept = (sign for sign in text if sign in _KEPT_CONTROLS or not unicodedata.category(sign).startswith("C"))
    lines = _SPACES.sub(" ", "".join(kept)).split("\n")
    return "\n".join(line.strip() for line in lines).strip()


def paragraphs_of(text: str) -> list[str]:
    """Pieces between blank lines."""
    return [piece for piece in _BLANK_LINES.split(text) if piece.strip()]


def assemble(blocks: Iterable[Block], *, max_chars: int) -> DocumentText:
    """Joins blocks into one text.

    Raises:
        Invalid: nothing is left after cleaning (`document.no-text`), or more than may be (`document.too-long`).
    """
    pieces: list[str] = []
    headings: list[Heading] = []
    page_starts: list[int] = []
    length = 0
    for block in blocks:
        text = clean(block.text)
        if block.page is not None:
            page_starts += [length] * (block.page - len(page_starts))
        if not text:
            continue
        if block.level:
            text = " ".join(text.split())
            headings.append(Heading(level=block.level, title=text[:500], start=length))
        pieces.append(text)
        length += len(text) + 2
        if length > max_chars:
            raise Invalid("document.too-long", f"the document holds more than {max_chars} characters", limit=max_chars)
    if not pieces:
        raise Invalid("document.no-text", "no text was found in the document; scanned pages are not read")
    text = "\n\n".join(pieces)
    starts = tuple(min(start, len(text)) for start in page_starts)
    return DocumentText(text=text, headings=tuple(headings), page_starts=starts)

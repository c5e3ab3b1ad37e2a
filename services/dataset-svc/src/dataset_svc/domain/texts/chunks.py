"""Cuts a document into chunks at headings and between sentences, each with its place in the text."""

import math
import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from dataset_svc.domain.texts.documents import DocumentText, Heading

# a sentence ends at a mark that space follows; never after an initial, a numbering or a usual abbreviation
_SENTENCE_END = re.compile(
    r"(?<!\b[A-Z])(?<!\b\d)(?<!\bMr)(?<!\bMrs)(?<!\bDr)(?<!\bNo)(?<!\bvs)(?<!\be\.g)(?<!\bi\.e)"
    r"[.!?。！？…]+[\"'”’)\]]*(?=\s)|\n(?=\s*\n)"
)
_WIDE = re.compile(r"[\u1100-\u11ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3]")
_TINY_SHARE_0_1 = 0.125  # shorter sections join the next one

Span = tuple[int, int]


class Unit(StrEnum):
    """What a chunk's size is counted in."""

    CHARACTERS = "characters"
    TOKENS = "tokens"


@dataclass(frozen=True, kw_only=True)
class ChunkRules:
    """How large chunks are.

    Attributes:
        size: Most of a chunk, in units.
        overlap: Most that a chunk repeats of the one before it, in units; whole sentences only.
    """

    size: int = 1500
    overlap: int = 150
    unit: Unit = Unit.CHARACTERS


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """A part of a document: `document.text[start:end]`.

    Attributes:
        number: Counted from 0.
        headings: Titles above it, the outermost first.
        page: Page on which it starts.
    """

    number: int
    start: int
    end: int
    headings: tuple[str, ...]
    page: int | None


def estimated_tokens(text: str) -> int:
    """About how many tokens: 0.7 a Korean syllable, one for four other characters; good to a third either way."""
    wide = len(_WIDE.findall(text))
    return math.ceil(0.7 * wide + (len(text) - wide) / 4)


def cut(document: DocumentText, rules: ChunkRules | None = None) -> tuple[Chunk, ...]:
    """Every sentence is in at least one chunk; no chunk is larger than the rules say."""
    rules = rules or ChunkRules()
    starts = [heading.start for heading in document.headings]
    spans = [
        span for section in _sections(document, rules) for span in _packed(document.text, section, rules)
    ]  # fmt: skip
    return tuple(
        Chunk(
            number=number,
            start=start,
            end=end,
            headings=_path(document.headings[: bisect_right(starts, start)]),
            page=document.page_at(start),
        )
        for number, (start, end) in enumerate(spans)
    )


def _size(text: str, unit: Unit) -> int:
    return len(text) if unit is Unit.CHARACTERS else estimated_tokens(text)


def _path(before: tuple[Heading, ...]) -> tuple[str, ...]:
    """Titles that hold at a place, given the headings up to it."""
    path: list[Heading] = []
    for heading in before:
        while path and path[-1].level >= heading.level:
            path.pop()
        path.append(heading)
    return tuple(heading.title for heading in path)


def _sections(document: DocumentText, rules: ChunkRules) -> list[Span]:
    """From heading to heading; a tiny one goes together with what follows."""
    edges = sorted({0, len(document.text), *(heading.start for heading in document.headings)})
    sections: list[Span] = []
    begin = edges[0]
    for end in edges[1:]:
        tiny = _size(document.text[begin:end], rules.unit) < rules.size * _TINY_SHARE_0_1
        if not tiny or end == edges[-1]:
            sections.append((begin, end))
            begin = end
    return sections


def sentences(text: str, start: int = 0, end: int | None = None) -> Iterator[Span]:
    """Places of the sentences, without the white space around them."""
    end = len(text) if end is None else end
    begin = start
    for match in _SENTENCE_END.finditer(text, start, end):
        yield from _trimmed(text, begin, match.end())
        begin = match.end()
    yield from _trimmed(text, begin, end)


def _trimmed(text: str, start: int, end: int) -> Iterator[Span]:
    piece = text[start:end]
    if piece.strip():
        yield start + len(piece) - len(piece.lstrip()), end - len(piece) + len(piece.rstrip())


def _fitting(text: str, span: Span, rules: ChunkRules) -> Iterator[Span]:
    """A sentence, or its pieces if it alone is larger than a chunk; cut at a space where one is near."""
    start, end = span
    most = rules.size  # characters: a token has at least a character by the estimate, so this fits either unit
    while end - start > most and _size(text[start:end], rules.unit) > rules.size:
        place = text.rfind(" ", start + most // 2, start + most)
        stop = place if place > 0 else start + most
        yield from _trimmed(text, start, stop)
        start = stop
    yield from _trimmed(text, start, end)


def _packed(text: str, section: Span, rules: ChunkRules) -> Iterator[Span]:
    held: list[Span] = []
    fresh = False
    for sentence in sentences(text, *section):
        for piece in _fitting(text, sentence, rules):
            if held and _size(text[held[0][0] : piece[1]], rules.unit) > rules.size:
                yield held[0][0], held[-1][1]
                held = _tail(text, held, rules)
                while held and _size(text[held[0][0] : piece[1]], rules.unit) > rules.size:
                    held.pop(0)
            held.append(piece)
            fresh = True
    if held and fresh:
        yield held[0][0], held[-1][1]


def _tail(text: str, held: list[Span], rules: ChunkRules) -> list[Span]:
    """The last sentences that the next chunk repeats; never all of them."""
    end = held[-1][1]
    for place in range(1, len(held)):
        if _size(text[held[place][0] : end], rules.unit) <= rules.overlap:
            return held[place:]
    return []

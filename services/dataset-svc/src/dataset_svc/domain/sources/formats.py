"""Tells by its first bytes what a file is: compression, text encoding, and how records lie in it.

A file's name is only a hint where the content leaves two answers open.
"""

import csv
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

import msgspec

_WRAPPED = re.compile(
    rb"\s*\{\s*(?:\"(?:[^\"\\]|\\.)*\"\s*:\s*(?:\"(?:[^\"\\]|\\.)*\"|[-+.\w]+)\s*,\s*){0,50}"
    rb"\"(?:data|rows|records|samples|items|examples|train)\"\s*:\s*\["
)
_SHAPED = frozenset({"messages", "conversations", "instruction", "prompt", "question", "chosen"})
_LINES_LOOKED_AT = 20
_DELIMITERS = ",\t;|"
_ENOUGH_LINES = 200


class Compression(StrEnum):
    """How the file is packed."""

    NONE = "none"
    GZIP = "gzip"
    ZSTD = "zstd"


class Encoding(StrEnum):
    """How its text is written."""

    UTF_8 = "utf-8"
    UTF_16_LE = "utf-16-le"
    UTF_16_BE = "utf-16-be"
    CP949 = "cp949"


class Format(StrEnum):
    """How records lie in it.

    `json_objects` are objects one after the other over several lines each; `json_wrapped` is an array inside an object.
    """

    JSON_LINES = "json_lines"
    JSON_ARRAY = "json_array"
    JSON_WRAPPED = "json_wrapped"
    JSON_OBJECTS = "json_objects"
    CSV = "csv"
    PARQUET = "parquet"


@dataclass(frozen=True, kw_only=True)
class SourceKind:
    """What a file is.

    Attributes:
        delimiter: Between the columns of a CSV; empty for all else.
    """

    compression: Compression
    encoding: Encoding
    format: Format
    delimiter: str = ""


def compression_of(head: bytes) -> Compression:
    if head.startswith(b"\x1f\x8b"):
        return Compression.GZIP
    skippable = head[1:4] == b"\x2a\x4d\x18" and head[:1] and head[0] & 0xF0 == 0x50  # RFC 8878, 3.1.2
    return Compression.ZSTD if skippable or head.startswith(b"\x28\xb5\x2f\xfd") else Compression.NONE


def marked_encoding(head: bytes) -> Encoding | None:
    """The encoding that a byte order mark names."""
    if head.startswith(b"\xef\xbb\xbf"):
        return Encoding.UTF_8
    if head.startswith(b"\xff\xfe"):
        return Encoding.UTF_16_LE
    return Encoding.UTF_16_BE if head.startswith(b"\xfe\xff") else None


class EncodingVote:
    """Looks at the lines of an unmarked file that are not plain ASCII, until enough of them agree.

    Korean text in CP949 (EUC-KR is a part of it) is next to never valid UTF-8, and one damaged line must not turn a
    UTF-8 file into CP949; hence votes by line.
    """

    def __init__(self) -> None:
        self._utf_8 = 0
        self._cp949 = 0

    def hear(self, lines: Iterable[bytes]) -> bool:
        """Whether enough was heard."""
        for line in lines:
            if line.isascii():
                continue
            if _decodes(line, Encoding.UTF_8):
                self._utf_8 += 1
            elif _decodes(line, Encoding.CP949):
                self._cp949 += 1
            if self._utf_8 + self._cp949 >= _ENOUGH_LINES:
                return True
        return False

    @property
    def winner(self) -> Encoding:
        return Encoding.CP949 if self._cp949 > self._utf_8 else Encoding.UTF_8


def _decodes(line: bytes, encoding: Encoding) -> bool:
    try:
        line.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def format_of(head: bytes, name: str) -> tuple[Format, str]:
    """Format and, for CSV, delimiter of a text that begins so.

    Args:
        head: UTF-8, without byte order mark; whole lines if the text has any so early.
        name: What the file was called; may be empty.
    """
    lines = [line for line in head.splitlines()[:_LINES_LOOKED_AT] if line.strip()]
    start = head.lstrip()[:1]
    table = name.lower().removesuffix(".gz").removesuffix(".zst").endswith((".csv", ".tsv"))
    if start == b"[" and not table:
        return Format.JSON_ARRAY, ""
    if start == b"{" and not table:
        return _braced(head, lines), ""
    if any(_is_object(line) for line in lines):
        return Format.JSON_LINES, ""
    delimiter = _delimiter_of(lines, certain=table)
    return (Format.CSV, delimiter) if delimiter else (Format.JSON_LINES, "")


def _braced(head: bytes, lines: list[bytes]) -> Format:
    first = _object(lines[0])
    if _WRAPPED.match(head) and not (first and _SHAPED & set(first)):
        return Format.JSON_WRAPPED
    if first is not None or any(_is_object(line) for line in lines[1:]):
        return Format.JSON_LINES
    # an object that goes on in the next line ends its own with a comma or a bracket
    open_end = lines[0].rstrip()[-1:] in {b"{", b"[", b","}
    return Format.JSON_OBJECTS if open_end and len(lines) > 1 else Format.JSON_LINES


def _is_object(line: bytes) -> bool:
    return _object(line) is not None


def _object(line: bytes) -> dict[str, msgspec.Raw] | None:
    try:
        return msgspec.json.decode(line, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _delimiter_of(lines: list[bytes], *, certain: bool) -> str:
    """The delimiter that cuts the header into the most columns, and most rows into as many; empty if none does.

    Args:
        certain: Whether the file is known to be a table, so that one row, or rows of many lines, are enough.
    """
    texts = [line.decode("utf-8", errors="replace") for line in lines]
    best, columns = "", 1
    for delimiter in _DELIMITERS:
        widths = [len(_cells(text, delimiter)) for text in texts]
        if not widths or widths[0] <= columns:
            continue
        agreeing = Counter(widths)[widths[0]]
        if certain or (len(widths) > 1 and agreeing * 2 >= len(widths)):
            best, columns = delimiter, widths[0]
    return best or ("," if certain and texts else "")


def _cells(text: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([text], delimiter=delimiter), [])
    except csv.Error:
        return []

"""What could not be read: reported with place, field and reason, and never with what it said, which may be personal."""

import re
from collections import Counter
from dataclasses import dataclass

import msgspec

MOST_REPORTED = 1000
_MOST_REASONS = 200
_OTHER = "other reasons"
_INDEX = re.compile(r"\[\d+\]")
_PLACE = re.compile(r"\b(line|row) \d+")


@dataclass(frozen=True, kw_only=True)
class BadLine:
    """A record that is no sample.

    Attributes:
        line: Line of the file (JSON Lines, CSV), else number of the record (JSON arrays, Parquet); both from 1.
        field: Path of the wrong field; `line` if the record as a whole is wrong.
        reason: What is wrong; never what the record said.
    """

    line: int
    field: str
    reason: str


class Reject(msgspec.Struct, frozen=True):
    """One line of a reject file.

    Attributes:
        raw: The record as it stood, bytes that are no text written as escapes; None if it was too long to keep.
    """

    line: int
    field: str
    reason: str
    raw: str | None


class BadRecords:
    """Counts every bad record and keeps the first thousand, whatever their number."""

    def __init__(self) -> None:
        self.total = 0
        self.first: list[BadLine] = []
        self.reasons: Counter[str] = Counter()

    def add(self, bad: BadLine) -> None:
        self.total += 1
        if len(self.first) < MOST_REPORTED:
            self.first.append(bad)
        reason = f"{_INDEX.sub('[]', bad.field)}: {_PLACE.sub('an earlier one', bad.reason)}"
        self.reasons[reason if reason in self.reasons or len(self.reasons) < _MOST_REASONS else _OTHER] += 1


def reject_line(bad: BadLine, raw: bytes | None) -> bytes:
    """The line of the reject file for a bad record."""
    text = None if raw is None else raw.decode("utf-8", errors="backslashreplace")
    return msgspec.json.encode(Reject(line=bad.line, field=bad.field, reason=bad.reason, raw=text)) + b"\n"

"""Reads files of cases, CSV or JSON Lines, as hostile as they come: every wrong line gets its reason."""

import csv
import io
import json
from collections.abc import Iterator
from enum import StrEnum

from registry_svc.domain.suites import MOST_CASE_CHARS, CaseProblem, CasesRefused, Draft, draft_of

_COLUMNS = ("input", "expected", "case_id")
_DELIMITERS = ",;\t"


class CaseFormat(StrEnum):
    """How a file of cases is written."""

    CSV = "csv"
    JSONL = "jsonl"


def read_case_file(content: bytes, form: CaseFormat, *, most_cases: int) -> list[tuple[str, Draft]]:
    """Reads a file into places and drafts, at most one more than may be.

    Raises:
        CasesRefused: the file as a whole cannot be read.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise CasesRefused(CaseProblem(f"line {line}", f"is not UTF-8 ({error.reason})")) from error
    lines = _csv_lines(text) if form is CaseFormat.CSV else _json_lines(text)
    found: list[tuple[str, Draft]] = []
    for place, draft in lines:
        found.append((place, CaseProblem(place, draft) if isinstance(draft, str) else draft))
        if len(found) > most_cases:
            break
    return found


def _json_lines(text: str) -> Iterator[tuple[str, Draft | str]]:
    # split at \n only: JSON strings may hold other characters that splitlines() takes for line ends
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            value: object = json.loads(line)
        except json.JSONDecodeError as error:
            yield f"line {number}", f"not JSON: {error.msg} at column {error.colno}"
        except (ValueError, RecursionError):  # digits beyond what int() takes, or nothing but brackets
            yield f"line {number}", "not JSON that can be read: too deep, or a number too long"
        else:
            yield f"line {number}", draft_of(value) if isinstance(value, dict) else "is no JSON object"


def _csv_lines(text: str) -> Iterator[tuple[str, Draft | str]]:
    """Rows by column name; a text that begins with a brace is the object that it spells only when compared."""
    if "\0" in text:
        raise CasesRefused(CaseProblem(f"line {text.count(chr(10), 0, text.index(chr(0))) + 1}", "holds NUL"))
    csv.field_size_limit(2 * MOST_CASE_CHARS)  # longer fields are refused by their row, not by memory
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter_of(text), strict=True)
    try:
        header = [name.strip().lower() for name in next(rows, [])]
    except csv.Error as error:
        raise CasesRefused(CaseProblem("line 1", f"not CSV: {error}")) from error
    _check_header(header)
    while True:
        first_line = rows.line_num + 1
        try:
            row = next(rows, None)
        except csv.Error as error:
            # after a quote that nobody closes nothing can be told apart any more
            yield f"line {first_line}", f"not CSV: {error}"
            return
        if row is None:
            return
        if any(field.strip() for field in row):
            yield f"line {first_line}", _draft_of_row(header, row)


def _draft_of_row(header: list[str], row: list[str]) -> Draft | str:
    if len(row) != len(header):
        return f"has {len(row)} fields, the header {len(header)}"
    fields = dict(zip(header, row, strict=True))
    if not fields.get("case_id", "").strip():
        fields.pop("case_id", None)
    return draft_of(fields)


def _delimiter_of(text: str) -> str:
    header = text.partition("\n")[0]
    return max(_DELIMITERS, key=header.count)  # spreadsheets of other countries write semicolons


def _check_header(header: list[str]) -> None:
    strange = [name for name in header if name not in _COLUMNS]
    missing = [name for name in ("input", "expected") if name not in header]
    twice = len(set(header)) != len(header)
    if missing or strange or twice:
        said = ", ".join(ascii(name)[1:-1] for name in header)[:200] or "nothing"
        raise CasesRefused(
            CaseProblem("line 1", f"the header must name input, expected and perhaps case_id, not {said}")
        )

"""Reads one record as a sample, or says what is wrong with it; nothing in a record ever stops those after it."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from dataset_svc.domain.samples import Sample, Scalar, Turn, ends_of_lines
from dataset_svc.domain.sources.bad_records import BadLine
from dataset_svc.domain.sources.columns import ColumnMapping, apply_mapping
from dataset_svc.domain.sources.lines import Line
from dataset_svc.domain.sources.plain_chat import read_plain_chat
from dataset_svc.domain.sources.record_shapes import standard_fields
from dataset_svc.domain.sources.records import Fault, Fields, Record, Row
from dataset_svc.domain.texts.hashes import in_hex, sha256s_within
from loopwright.contracts.datasets import SampleSource

_NAME_BYTES = 16
ROLES = frozenset({"system", "user", "assistant", "tool"})
_PLACE = re.compile(r"^(?P<what>.*?)(?: - at `\$\.?(?P<field>.*)`)?$", re.DOTALL)
_MISSING = re.compile(r"missing required field `(.+?)`")


@dataclass(frozen=True, kw_only=True)
class ReadingRules:
    """What records of one source must agree with.

    Attributes:
        task_id: Task that all of them belong to.
        source: Where all of them were learned from, whatever they say themselves; None to believe them.
        mapping: Which columns hold what; None if the records name their fields as everybody does.
    """

    task_id: str
    source: SampleSource | None = None
    mapping: ColumnMapping | None = None


class _Said(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """What names a record without an id; the order of the fields is part of the name."""

    messages: tuple[Turn, ...]
    sample_id: str | None
    task_id: str | None
    input: str | None
    source: SampleSource | None
    inference_id: str | None
    rating_ids: tuple[str, ...]
    unit_hash: str | None
    weight_0_1: float
    tools: str | None = None
    rejected: str | None = None
    thumb: bool | None = None
    metadata: dict[str, Scalar] | None = None
    category: str | None = None
    group: str | None = None


_encoder = msgspec.json.Encoder()
_any = msgspec.json.Decoder(object)


class Names:
    """The ids that records of one source have, in order; the only thing that depends on the records before."""

    def __init__(self) -> None:
        self._lines_of: dict[str, int] = {}
        self._repeats: Counter[str] = Counter()

    def admit(self, sample_id: str, number: int, *, named: bool) -> str | BadLine:
        """The id that a sample gets: of nameless ones that say the same the second gets a count. A name is used once."""
        if not named and sample_id in self._lines_of:
            self._repeats[sample_id] += 1
            sample_id = f"{sample_id}-{self._repeats[sample_id] + 1}"
        before = self._lines_of.setdefault(sample_id, number)
        if before != number:
            return BadLine(line=number, field="sample_id", reason=f"already used in line {before}")
        return sample_id


def as_samples(records: Sequence[Record], rules: ReadingRules) -> list[Sample]:
    """The samples that records are; those without an id are named by what they say."""
    names = iter(_names([record for record in records if record.sample_id is None]))
    return [_sample(record, record.sample_id or next(names), rules) for record in records]


def _sample(record: Record, sample_id: str, rules: ReadingRules) -> Sample:
    asked = record.input
    if asked is None:
        *_, before, _ = record.messages  # the user spoke before the answer
        asked = before.content if before.role == "user" else _last_of_user(record.messages)
    return Sample(
        sample_id, rules.task_id, asked, record.messages, rules.source or record.source or SampleSource.UPLOAD,
        record.inference_id, record.rating_ids, record.unit_hash, record.weight_0_1, record.tools, record.rejected,
        record.thumb, record.metadata, record.category, record.group,
    )  # fmt: skip


def _last_of_user(turns: tuple[Turn, ...]) -> str:
    return next(turn.content for turn in reversed(turns) if turn.role == "user")


def _names(records: Sequence[Record]) -> list[str]:
    lines = _encoder.encode_lines([
        _Said(
            record.messages, record.sample_id, record.task_id, record.input, record.source, record.inference_id,
            record.rating_ids, record.unit_hash, record.weight_0_1, record.tools, record.rejected, record.thumb,
            record.metadata, record.category, record.group,
        )
        for record in records
    ])  # fmt: skip
    ends = ends_of_lines(lines)
    hashes = sha256s_within(lines, ends - np.diff(ends, prepend=0), ends - 1)
    return [f"row-{name}" for name in in_hex(hashes[:, :_NAME_BYTES])]


def read_record(one: Line | Row, rules: ReadingRules) -> Record | BadLine:
    """A record without its name; depends on nothing but itself, so records may be read in any order and place."""
    try:
        record = _parsed(one, rules)
        fault = None if _is_sound(record, rules) else next(_faults(record, rules), None)
    except Fault as error:
        fault, record = (error.field, error.reason), None
    except msgspec.ValidationError as error:
        fault, record = _misfit(str(error)), None
    if fault is not None or record is None:
        field, reason = fault or ("line", "not a record")
        return BadLine(line=one.number, field=field, reason=reason)
    return record


def _parsed(one: Line | Row, rules: ReadingRules) -> Record:
    if isinstance(one, Line) and one.content is not None and rules.mapping is None:
        plain = read_plain_chat(one.content)
        if plain is not None:
            return plain
    fields = _fields(one)
    if rules.mapping is not None:
        fields = apply_mapping(rules.mapping, fields)
    standard = {name: value for name, value in standard_fields(fields).items() if value is not None}
    return msgspec.convert(standard, Record)


def _fields(one: Line | Row) -> Fields:
    if isinstance(one, Row):
        if one.fields is None:
            raise Fault("line", one.fault or "longer than a record may be")
        return one.fields
    if one.content is None:
        raise Fault("line", "longer than a line may be")
    try:
        found = _any.decode(one.content)
    except UnicodeDecodeError as error:
        raise Fault("line", "not UTF-8") from error
    except msgspec.DecodeError as error:
        raise Fault("line", "not JSON") from error
    except RecursionError as error:
        raise Fault("line", "nested too deeply") from error
    if not isinstance(found, dict):
        raise Fault("line", "not a JSON object")
    return found


def _is_sound(record: Record, rules: ReadingRules) -> bool:
    """Whether it surely has no fault, which of the commonest conversations one look tells."""
    turns = record.messages
    if not 2 <= len(turns) <= 3 or record.input is not None or record.task_id not in (None, rules.task_id):
        return False
    first, asked, answer = turns[0], turns[-2], turns[-1]
    return (
        asked.role == "user"
        and answer.role == "assistant"
        and (first is asked or first.role == "system")
        and not (asked.content.isspace() or answer.content.isspace())
        and asked.content != ""
        and answer.content != ""
    )


def _faults(record: Record, rules: ReadingRules) -> Iterator[tuple[str, str]]:
    """What a well-formed record can still have wrong: field and reason."""
    turns = record.messages
    if record.task_id not in {None, rules.task_id}:
        yield "task_id", "belongs to another task"
    for place, turn in enumerate(turns):
        if turn.role not in ROLES:
            yield f"messages[{place}].role", "not one of system, user, assistant and tool"
    if not turns or turns[-1].role != "assistant":
        yield "messages", "the last turn is not the assistant's answer"
    elif not turns[-1].content.strip():
        yield f"messages[{len(turns) - 1}].content", "the answer is empty"
    asked = [turn for turn in turns[:-1] if turn.role == "user"]
    if not asked:
        yield "messages", "no user turn before the answer"
    elif not asked[-1].content.strip() or (record.input is not None and not record.input.strip()):
        yield "input", "the input is empty"


def _misfit(text: str) -> tuple[str, str]:
    match = _PLACE.match(text)
    what, field = (match["what"], match["field"]) if match else (text, None)
    missing = _MISSING.search(what)
    if missing:
        field, what = ".".join(part for part in (field, missing[1]) if part), "missing"
    elif what.startswith("Invalid enum value"):
        what = "not one of the known values"  # the library quotes the value
    elif "matching regex" in what:
        what = "not an identifier"
    return field or "line", what

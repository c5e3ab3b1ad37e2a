"""Reads one line of JSON as a sample, or says what is wrong with it; nothing in a line ever stops the lines after it."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import msgspec

from dataset_svc.domain.lines import Line
from dataset_svc.domain.samples import Sample, Turn, sha256_of
from loopwright.contracts.datasets import SampleSource

_Id = Annotated[str, msgspec.Meta(min_length=1, max_length=200, pattern=r"^[A-Za-z0-9][A-Za-z0-9._:@\-]*$")]
_ROLES = frozenset({"system", "user", "assistant", "tool"})
_PLACE = re.compile(r"^(?P<what>.*?)(?: - at `\$\.?(?P<field>.*)`)?$", re.DOTALL)
_MISSING = re.compile(r"missing required field `(.+?)`")


@dataclass(frozen=True, kw_only=True)
class BadLine:
    """A line that is no sample.

    Attributes:
        field: Path of the wrong field; `line` if the line as a whole is wrong.
        reason: What is wrong; never what the line said, which may be personal.
    """

    line: int
    field: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class ReadingRules:
    """What lines of one source must agree with.

    Attributes:
        task_id: Task that all of them belong to.
        source: Where all of them were learned from, whatever they say themselves; None to believe them.
    """

    task_id: str
    source: SampleSource | None = None


class _JsonLine(msgspec.Struct, frozen=True):
    messages: tuple[Turn, ...]
    sample_id: _Id | None = None
    task_id: str | None = None
    input: str | None = None
    source: SampleSource | None = None
    inference_id: _Id | None = None
    rating_ids: tuple[_Id, ...] = ()
    unit_hash: _Id | None = None
    weight_0_1: Annotated[float, msgspec.Meta(ge=0, le=1)] = 1.0


_decoder = msgspec.json.Decoder(_JsonLine)


class SampleReader:
    """Reads the lines of one source in order; remembers the ids that it met."""

    def __init__(self, rules: ReadingRules) -> None:
        self._rules = rules
        self._lines_of: dict[str, int] = {}
        self._nameless: Counter[str] = Counter()

    def read(self, line: Line) -> Sample | BadLine:
        parsed = _decode(line)
        if isinstance(parsed, BadLine):
            return parsed
        fault = next(self._faults(parsed), None)
        if fault is not None:
            return BadLine(line=line.number, field=fault[0], reason=fault[1])
        sample = self._complete(parsed)
        before = self._lines_of.setdefault(sample.sample_id, line.number)
        if before != line.number:
            return BadLine(line=line.number, field="sample_id", reason=f"already used in line {before}")
        return sample

    def _faults(self, line: _JsonLine) -> Iterator[tuple[str, str]]:
        """What a well-formed line can still have wrong: field and reason."""
        turns = line.messages
        if line.task_id not in {None, self._rules.task_id}:
            yield "task_id", "belongs to another task"
        for place, turn in enumerate(turns):
            if turn.role not in _ROLES:
                yield f"messages[{place}].role", "not one of system, user, assistant and tool"
        if not turns or turns[-1].role != "assistant":
            yield "messages", "the last turn is not the assistant's answer"
        elif not turns[-1].content.strip():
            yield f"messages[{len(turns) - 1}].content", "the answer is empty"
        asked = [turn for turn in turns[:-1] if turn.role == "user"]
        if not asked:
            yield "messages", "no user turn before the answer"
        elif not asked[-1].content.strip() or (line.input is not None and not line.input.strip()):
            yield "input", "the input is empty"

    def _complete(self, line: _JsonLine) -> Sample:
        asked = [turn.content for turn in line.messages if turn.role == "user"]
        return Sample(
            sample_id=line.sample_id or self._name(line),
            task_id=self._rules.task_id,
            input=asked[-1] if line.input is None else line.input,
            messages=line.messages,
            source=self._rules.source or line.source or SampleSource.UPLOAD,
            inference_id=line.inference_id,
            rating_ids=line.rating_ids,
            unit_hash=line.unit_hash,
            weight_0_1=line.weight_0_1,
        )

    def _name(self, line: _JsonLine) -> str:
        """A line without an id is named by what it says; the second such line by that and its count."""
        digest = sha256_of(msgspec.json.encode(line).decode())[:32]
        self._nameless[digest] += 1
        count = self._nameless[digest]
        return f"row-{digest}" if count == 1 else f"row-{digest}-{count}"


def _decode(line: Line) -> _JsonLine | BadLine:
    if line.content is None:
        return BadLine(line=line.number, field="line", reason="longer than a line may be")
    try:
        return _decoder.decode(line.content)
    except UnicodeDecodeError:
        reason = "not UTF-8"
    except msgspec.ValidationError as error:
        return _misfit(line.number, str(error))
    except msgspec.DecodeError:
        reason = "not JSON"
    except RecursionError:
        reason = "nested too deeply"
    return BadLine(line=line.number, field="line", reason=reason)


def _misfit(number: int, text: str) -> BadLine:
    match = _PLACE.match(text)
    what, field = (match["what"], match["field"]) if match else (text, None)
    missing = _MISSING.search(what)
    if missing:
        field, what = ".".join(part for part in (field, missing[1]) if part), "missing"
    elif what.startswith("Invalid enum value"):
        what = "not one of the known values"  # the library quotes the value
    elif "matching regex" in what:
        what = "not an identifier"
    return BadLine(line=number, field=field or "line", reason=what)

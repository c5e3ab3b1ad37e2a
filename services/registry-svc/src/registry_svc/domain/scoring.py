"""Held-out cases, and what counts as a right answer to one."""

import json
from dataclasses import dataclass

from jsonschema.validators import validator_for
from pydantic import Field, JsonValue, ValidationError

from loopwright.contracts.base import ChatMessage, JsonObject, Value
from loopwright.errors import InvalidPayload


@dataclass(frozen=True, kw_only=True)
class HeldOutCase:
    """One question with its right answer.

    Attributes:
        number: Line of the split file, from 1; names the case within an evaluation.
        input: What the user sent.
        expected: The right answer.
    """

    number: int
    sample_id: str
    input: str
    expected: str


@dataclass(frozen=True, kw_only=True)
class Score:
    """What one answer is worth."""

    correct: bool
    schema_valid: bool


@dataclass(frozen=True, kw_only=True)
class CaseAnswer:
    """What a variant answered to a case.

    Attributes:
        answer: Its text; None when the router refused the request for good, which `error` explains.
        latency_ms: Time until the answer was there, in milliseconds.
    """

    variant_id: str
    number: int
    sample_id: str
    expected: str
    answer: str | None
    error: str | None
    correct: bool
    schema_valid: bool
    latency_ms: float
    inference_id: str | None


class _SampleLine(Value):
    sample_id: str
    input: str
    messages: tuple[ChatMessage, ...] = Field(min_length=1)


def read_cases(lines: bytes) -> tuple[HeldOutCase, ...]:
    """Reads the held-out split: JSON Lines with `sample_id`, `input` and `messages`, the last of them the right answer.

    Raises:
        InvalidPayload: a line is not such a sample.
    """
    cases: list[HeldOutCase] = []
    # split at \n only: JSON strings may hold other characters that splitlines() takes for line ends
    for number, line in enumerate(lines.split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            sample = _SampleLine.model_validate_json(line)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False, include_context=False)[0]
            place = ".".join(str(part) for part in first["loc"]) or "line"
            raise InvalidPayload(
                "evaluation.cases-unreadable", f"held-out line {number}: {place}: {first['msg']}"
            ) from error
        if sample.messages[-1].role != "assistant":
            raise InvalidPayload("evaluation.cases-unreadable", f"held-out line {number} does not end with an answer")
        expected = sample.messages[-1].content
        cases.append(HeldOutCase(number=number, sample_id=sample.sample_id, input=sample.input, expected=expected))
    return tuple(cases)


def score_answer(answer: str, expected: str, *, schema: JsonObject | None, field: str | None) -> Score:
    """Compares an answer with the right one.

    Without a schema the texts must be the same but for outer white space. With one, the named field must be equal,
    or the whole value when no field is named.
    """
    if schema is None:
        return Score(correct=answer.strip() == expected.strip(), schema_valid=True)
    given, wanted = _parse(answer), _parse(expected)
    if given is None:
        return Score(correct=False, schema_valid=False)
    valid = validator_for(schema)(schema).is_valid(given.value)
    if wanted is None:
        return Score(correct=False, schema_valid=valid)
    if field is None:
        return Score(correct=_same(given.value, wanted.value), schema_valid=valid)
    if not isinstance(given.value, dict) or not isinstance(wanted.value, dict):
        return Score(correct=False, schema_valid=valid)
    present = field in given.value and field in wanted.value
    return Score(correct=present and _same(given.value[field], wanted.value[field]), schema_valid=valid)


@dataclass(frozen=True)
class _Json:
    """Tells a parsed `null` from no JSON at all."""

    value: JsonValue


def _parse(text: str) -> _Json | None:
    try:
        return _Json(json.loads(text))
    except (ValueError, RecursionError):  # a model may write nothing but opening brackets
        return None


def _same(one: JsonValue, other: JsonValue) -> bool:
    # Python holds True == 1; JSON does not
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)

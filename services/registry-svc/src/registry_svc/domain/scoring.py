"""Held-out cases, and what counts as a right answer to one."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from jsonschema.validators import validator_for
from pydantic import Field, ValidationError

from loopwright.contracts.base import ChatMessage, JsonObject, Value
from loopwright.errors import InvalidPayload
from registry_svc.domain.metrics.structured import NotJson, json_fields, parse_json, same_json
from registry_svc.domain.metrics.texts import chrf, exact_match, rouge_l


class Part(StrEnum):
    """Which questions of an evaluation a case belongs to."""

    CASES = "cases"  # held out, or of a suite
    SAFETY = "safety"
    GENERAL = "general"


@dataclass(frozen=True, kw_only=True)
class HeldOutCase:
    """One question with its right answer.

    Attributes:
        number: Line of the split file, from 1; names the case within its part of an evaluation.
        input: What the user sent.
        expected: The right answer.
    """

    number: int
    sample_id: str
    input: str
    expected: str
    part: Part = Part.CASES


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
        input: What was asked; None for answers from before it was kept.
        output_tokens: Tokens of the answer; None where the server did not count them.
        scores: Further metrics of this one answer by name; None for one that could not be computed.
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
    part: Part = Part.CASES
    input: str | None = None
    output_tokens: int | None = None
    scores: Mapping[str, float | None] = field(default_factory=dict[str, float | None])


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
    try:
        given = parse_json(answer)
    except NotJson:
        return Score(correct=False, schema_valid=False)
    valid = validator_for(schema)(schema).is_valid(given)
    try:
        wanted = parse_json(expected)
    except NotJson:
        return Score(correct=False, schema_valid=valid)
    if field is None:
        return Score(correct=same_json(given, wanted), schema_valid=valid)
    if not isinstance(given, dict) or not isinstance(wanted, dict):
        return Score(correct=False, schema_valid=valid)
    present = field in given and field in wanted
    return Score(correct=present and same_json(given[field], wanted[field]), schema_valid=valid)


def compare_texts(answer: str, expected: str, *, schema: JsonObject | None) -> dict[str, float]:
    """How near an answer comes to the right one, by each metric that a single answer has."""
    return {
        "exact_match": exact_match(answer, expected),
        "rouge_l": rouge_l(answer, expected),
        "chrf": chrf(answer, expected),
        **json_fields(answer, expected, schema=schema),
    }

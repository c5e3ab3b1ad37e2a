"""Structured answers: their fields one by one, and the class that an answer names."""

import json
from collections.abc import Sequence
from typing import Final

from pydantic import JsonValue

from loopwright.contracts.base import JsonObject

FIELD: Final = "field."  # prefix of the metric of one field
_MOST_FIELDS: Final = 32
_MOST_LABEL: Final = 200
NO_LABEL: Final = ""  # of an answer that names no class


class NotJson(Exception):
    """A text is no JSON."""


def parse_json(text: str) -> JsonValue:
    """The value of a JSON text.

    Raises:
        NotJson: it is none.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:  # a model may write nothing but opening brackets
        raise NotJson from error


def same_json(one: JsonValue, other: JsonValue) -> bool:
    # Python holds True == 1; JSON does not
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def json_fields(answer: str, expected: str, *, schema: JsonObject | None) -> dict[str, float]:
    """Of each property of the schema that the expected answer has, whether the answer has it with the same value."""
    wanted, given = _object(expected), _object(answer)
    return {
        f"{FIELD}{name}": float(name in given and same_json(given[name], wanted[name]))
        for name in _properties(schema)
        if name in wanted
    }


def label_of(text: str, *, field: str | None) -> str:
    """The class that an answer names: the value of its field as text, or the whole answer; `NO_LABEL` for none."""
    if field is None:
        return text.strip()[:_MOST_LABEL]
    value = _object(text).get(field)
    if value is None or isinstance(value, dict | list):
        return NO_LABEL
    return str(value)[:_MOST_LABEL]


def macro_f1(given: Sequence[str], expected: Sequence[str]) -> float:
    """Unweighted mean of the F1 of every class that is expected somewhere (Lewis et al. 1996).

    Classes that only the answers name count as what they are: misses of the class that was expected.
    """
    pairs = list(zip(given, expected, strict=True))
    classes = set(expected)
    return sum(_f1(pairs, name) for name in classes) / len(classes)


def _f1(pairs: list[tuple[str, str]], name: str) -> float:
    hits = sum(given == expected == name for given, expected in pairs)
    named = sum(given == name for given, _ in pairs)
    wanted = sum(expected == name for _, expected in pairs)
    return 2 * hits / (named + wanted)


def _properties(schema: JsonObject | None) -> Sequence[str]:
    properties = (schema or {}).get("properties")
    return tuple(properties)[:_MOST_FIELDS] if isinstance(properties, dict) else ()


def _object(text: str) -> JsonObject:
    try:
        value = parse_json(text)
    except NotJson:
        return {}
    return value if isinstance(value, dict) else {}

"""Whom a record of an upstream app is of, and what is left of it when that person's data must go."""

import re
from collections.abc import Collection, Iterator

from pydantic import JsonValue

_PERSON, _INFERENCE = "unit_hash", "inference_id"
_IDENTIFIER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@\-]{0,199}", re.ASCII)  # as the contracts spell ids


def subjects_of(content: JsonValue) -> frozenset[str]:
    """Ids by which a record says whom it is of: values of `unit_hash` and `inference_id`, however deep they lie."""
    return _named(content, _PERSON, _INFERENCE)


def inferences_in(content: JsonValue) -> frozenset[str]:
    """Those of the subjects that are inferences."""
    return _named(content, _INFERENCE)


def without(content: JsonValue, erased: Collection[str]) -> JsonValue:
    """What stays of a record: nothing of one that is of an erased person, all others of a batch."""
    if isinstance(content, list):
        return [None if subjects_of(record) & set(erased) else record for record in content]
    return None if subjects_of(content) & set(erased) else content


def _named(content: JsonValue, *names: str) -> frozenset[str]:
    return frozenset(value for value in _values(content, names) if _IDENTIFIER.fullmatch(value))


def _values(content: JsonValue, names: Collection[str]) -> Iterator[str]:
    waiting = [content]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            yield from (value for name, value in one.items() if name in names and isinstance(value, str))
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one

"""Whom a record of an upstream app is of, and what is left of it when that person's data must go."""

import re
from collections.abc import Collection, Iterator

from pydantic import JsonValue

_NAMING = frozenset({"unit_hash", "inference_id"})
_IDENTIFIER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@\-]{0,199}", re.ASCII)  # as the contracts spell ids


def subjects_of(content: JsonValue) -> frozenset[str]:
    """Ids by which a record says whom it is of: values of `unit_hash` and `inference_id`, however deep they lie."""
    named = {value for value in _named_values(content) if _IDENTIFIER.fullmatch(value)}
    return frozenset(named)


def without(content: JsonValue, erased: Collection[str]) -> JsonValue:
    """What stays of a record: nothing of one that is of an erased person, all others of a batch."""
    if isinstance(content, list):
        return [None if subjects_of(record) & set(erased) else record for record in content]
    return None if subjects_of(content) & set(erased) else content


def _named_values(content: JsonValue) -> Iterator[str]:
    waiting = [content]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            yield from (value for name, value in one.items() if name in _NAMING and isinstance(value, str))
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one

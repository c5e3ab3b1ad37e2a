"""What may change inside one version of a schema: only optional fields may come. Everything else needs a new version.

Records outlive releases and services are released one by one, so old consumers read new records and new consumers
read old ones; a narrower and a wider field are therefore both breaks. Words (title, description, default, examples)
are free.
"""

from collections.abc import Iterator

from pydantic import JsonValue

from loopwright.contracts.base import JsonObject

_FREE = frozenset({"title", "description", "default", "examples", "$schema", "$id", "$defs"})
_WALKED = frozenset(
    {"$ref", "properties", "required", "items", "additionalProperties", "enum", "anyOf", "oneOf", "allOf"}
)


def compatibility_problems(old: JsonObject, new: JsonObject) -> list[str]:
    """Why the new schema may not stand under the old one's version; empty if it may.

    Args:
        old: Schema that was published, with its `$defs`.
        new: Schema that should take its place.

    Returns:
        One sentence each, beginning with the place of the field.
    """
    return list(_Comparison(old, new).compare(old, new, "event"))


class _Comparison:
    """Walks two schemas side by side; references are followed once per pair, so recursive schemas end."""

    def __init__(self, old_root: JsonObject, new_root: JsonObject) -> None:
        self._old_defs = _object(old_root.get("$defs"))
        self._new_defs = _object(new_root.get("$defs"))
        self._followed: set[tuple[str, str]] = set()

    def compare(self, old: JsonObject, new: JsonObject, place: str) -> Iterator[str]:
        old_ref, new_ref = old.get("$ref"), new.get("$ref")
        if isinstance(old_ref, str) and isinstance(new_ref, str):
            if (old_ref, new_ref) in self._followed:
                return
            self._followed.add((old_ref, new_ref))
        old, new = _resolve(old, self._old_defs), _resolve(new, self._new_defs)
        yield from _changed_keywords(old, new, place)
        yield from _changed_values(old, new, place)
        yield from self._fields(old, new, place)
        for keyword in ("items", "additionalProperties"):
            yield from self._single(old.get(keyword), new.get(keyword), f"{place}[]", keyword)
        for keyword in ("anyOf", "oneOf", "allOf"):
            yield from self._choices(old, new, place, keyword)

    def _fields(self, old: JsonObject, new: JsonObject, place: str) -> Iterator[str]:
        old_fields, new_fields = _object(old.get("properties")), _object(new.get("properties"))
        old_required, new_required = _strings(old.get("required")), _strings(new.get("required"))
        for name in old_fields:
            if name not in new_fields:
                yield f"{place}.{name}: was removed or renamed"
                continue
            if name in new_required - old_required:
                yield f"{place}.{name}: became required, and old records may lack it"
            if name in old_required - new_required:
                yield f"{place}.{name}: became optional, and old consumers demand it"
            yield from self.compare(_object(old_fields[name]), _object(new_fields[name]), f"{place}.{name}")
        for name in new_fields.keys() - old_fields.keys():
            if name in new_required:
                yield f"{place}.{name}: is new and required, and old records lack it"

    def _single(self, old: JsonValue, new: JsonValue, place: str, keyword: str) -> Iterator[str]:
        if isinstance(old, dict) and isinstance(new, dict):
            yield from self.compare(old, new, place)
        elif old != new:
            yield f"{place}: {keyword} changed from {old} to {new}"

    def _choices(self, old: JsonObject, new: JsonObject, place: str, keyword: str) -> Iterator[str]:
        old_choices, new_choices = _objects(old.get(keyword)), _objects(new.get(keyword))
        if len(old_choices) != len(new_choices):
            yield f"{place}: {keyword} has {len(new_choices)} choices instead of {len(old_choices)}"
            return
        for old_choice, new_choice in zip(old_choices, new_choices, strict=True):
            yield from self.compare(old_choice, new_choice, place)


def _changed_keywords(old: JsonObject, new: JsonObject, place: str) -> Iterator[str]:
    for keyword in sorted((old.keys() | new.keys()) - _FREE - _WALKED):
        if old.get(keyword) != new.get(keyword):
            yield f"{place}: {keyword} changed from {old.get(keyword)} to {new.get(keyword)}"


def _changed_values(old: JsonObject, new: JsonObject, place: str) -> Iterator[str]:
    if ("enum" in old) != ("enum" in new):
        yield f"{place}: is {'no longer' if 'enum' in old else 'now'} limited to listed values"
        return
    old_values, new_values = _values(old), _values(new)
    for gone in sorted(old_values - new_values):
        yield f"{place}: no longer allows {gone}, which old records hold"
    for come in sorted(new_values - old_values):
        yield f"{place}: now allows {come}, which old consumers cannot read"


def _resolve(schema: JsonObject, definitions: JsonObject) -> JsonObject:
    reference = schema.get("$ref")
    if not isinstance(reference, str):
        return schema
    return _object(definitions[reference.removeprefix("#/$defs/")])


def _object(value: JsonValue) -> JsonObject:
    return value if isinstance(value, dict) else {}


def _objects(value: JsonValue) -> list[JsonObject]:
    return [_object(entry) for entry in value] if isinstance(value, list) else []


def _strings(value: JsonValue) -> set[str]:
    return {str(entry) for entry in value} if isinstance(value, list) else set()


def _values(schema: JsonObject) -> set[str]:
    values = schema.get("enum")
    return {repr(value) for value in values} if isinstance(values, list) else set()

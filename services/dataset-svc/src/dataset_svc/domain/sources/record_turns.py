"""Reads the turns of a conversation from what people write as one: lists, JSON text, single messages, bare answers."""

import math
from collections.abc import Iterable
from itertools import islice
from typing import cast

import msgspec

from dataset_svc.domain.samples import Scalar
from dataset_svc.domain.sources.records import Fault, Fields

Turns = list[Fields]
_ROLES = {
    "human": "user",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "bot": "assistant",
    "model": "assistant",
    "function_call": "assistant",
    "developer": "system",
    "observation": "tool",
    "function": "tool",
    "function_response": "tool",
    "ipython": "tool",
}
LONGEST_LABEL = 200
LARGEST_INTEGER = 2**53  # beyond it readers in other languages lose digits
MOST_METADATA = 50
LONGEST_KEY = 100
LONGEST_VALUE = 1000
_MOST_TURNS = 10_000


def list_of(value: object, field: str) -> list[object]:
    """A list, or JSON text of one, as tables hold it; nothing is an empty list.

    Raises:
        Fault: it is neither.
    """
    if value is None or value == "":
        return []
    if isinstance(value, str):
        value = _parsed(value, field)
    if not isinstance(value, list):
        raise Fault(field, "not a list")
    found = cast("list[object]", value)
    if len(found) > _MOST_TURNS:
        raise Fault(field, f"more than {_MOST_TURNS} entries")
    return found


def read_turns(value: object, field: str) -> Turns:
    """Turns with `role` and `content`, roles in our words; types of what they say are checked later."""
    return [_turn(one, f"{field}[{place}]") for place, one in enumerate(list_of(value, field))]


def read_answer(value: object, field: str) -> Turns:
    """An answer as text, as one message, or as the last of several."""
    if isinstance(value, list):
        return read_turns(value, field)
    if isinstance(value, dict):
        return [_turn(cast("object", value), field)]
    return [{"role": "assistant", "content": read_text(value, field)}]


def read_text(value: object, field: str) -> str:
    """Text; numbers and truth values are written out, for tables guess types.

    Raises:
        Fault: it is neither.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bool | int | float):
        return _compact(value)
    raise Fault(field, "not text" if value is not None else "missing")


def _turn(value: object, field: str) -> Fields:
    if not isinstance(value, dict):
        raise Fault(field, "not a message")
    message = cast("Fields", value)
    said = message.get("role", message.get("from"))
    if not isinstance(said, str):
        raise Fault(f"{field}.role", "missing" if said is None else "not text")
    name = "content" if "content" in message or "value" not in message else "value"
    calls = json_text(message.get("tool_calls"), field=f"{field}.tool_calls")
    content = _content(message.get(name), f"{field}.{name}", required=calls is None)
    if said == "function_call":
        calls = _sharegpt_calls(content, f"{field}.{name}")
    turn: Fields = {"role": _ROLES.get(said, said), "content": content or calls or ""}
    return turn if calls is None else turn | {"tool_calls": calls}


def _content(value: object, field: str, *, required: bool) -> str:
    if isinstance(value, list):
        parts = [_text_part(part, f"{field}[{place}]") for place, part in enumerate(cast("list[object]", value))]
        return "".join(parts)
    if value is None and not required:
        return ""
    if not isinstance(value, str):
        raise Fault(field, "missing" if value is None else "not text")
    return value


def _text_part(part: object, field: str) -> str:
    if isinstance(part, str):
        return part
    fields = cast("Fields", part) if isinstance(part, dict) else {}
    text = fields.get("text")
    if fields.get("type", "text") != "text" or not isinstance(text, str):
        raise Fault(field, "only text can be learned")
    return text


def _sharegpt_calls(content: str, field: str) -> str:
    """ShareGPT writes calls as JSON text `{name, arguments}` or a list of such; the result is as OpenAI lists them."""
    parsed = _parsed(content, field)
    calls: list[Fields] = []
    for call in cast("list[object]", parsed) if isinstance(parsed, list) else [parsed]:
        fields = cast("Fields", call) if isinstance(call, dict) else {}
        name, arguments = fields.get("name"), fields.get("arguments", {})
        if not isinstance(name, str):
            raise Fault(field, "not the call of a tool")
        text = arguments if isinstance(arguments, str) else _compact(arguments)
        calls.append({"type": "function", "function": {"name": name, "arguments": text}})
    return _compact(calls)


def json_text(value: object, *, field: str) -> str | None:
    """A list or object, or JSON text of one, as compact JSON text; None if there is nothing in it.

    Raises:
        Fault: it is not JSON.
    """
    if isinstance(value, str) and value.strip():
        value = _parsed(value, field)
    if value is None or value in ("", [], {}) or (isinstance(value, str) and not value.strip()):
        return None
    if not isinstance(value, list | dict):
        raise Fault(field, "neither a list nor an object")
    return _compact(cast("object", value))


def flat_metadata(value: object) -> dict[str, Scalar]:
    """At most fifty scalars; what is nested becomes JSON text, and texts are cut to a thousand characters."""
    if isinstance(value, str) and value.strip():
        value = _parsed(value, "metadata")
    if value is None or value == "":
        return {}
    if not isinstance(value, dict):
        raise Fault("metadata", "not an object")
    said = cast("dict[object, object]", value)
    if len(said) <= MOST_METADATA and _is_plain(said) and _is_plain(said.values()):
        return cast("dict[str, Scalar]", value)  # most records
    return {str(key)[:LONGEST_KEY]: _scalar(one) for key, one in islice(said.items(), MOST_METADATA)}


def label_of(value: object, metadata: dict[str, Scalar], name: str) -> str | None:
    """A category or group: the record's own field, else what its metadata says.

    Raises:
        Fault: its own field is no name.
    """
    if value is None or value == "":
        other = metadata.get(name)
        if other is None:  # most records
            return None
        named = isinstance(other, str | int) and not isinstance(other, bool)
        return (str(other).strip() or None) if named and len(str(other)) <= LONGEST_LABEL else None
    if isinstance(value, bool | float) or not isinstance(value, str | int):
        raise Fault(name, "neither text nor a whole number")
    return str(value).strip() or None


def _is_plain(values: Iterable[object]) -> bool:
    """Whether all stay what they are, as keys too."""
    for value in values:
        if type(value) is str:
            if len(value) > LONGEST_KEY:
                return False
        elif type(value) is not int or not -LARGEST_INTEGER <= value <= LARGEST_INTEGER:
            return False
    return True


def _scalar(value: object) -> Scalar:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if abs(value) <= LARGEST_INTEGER else str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    text = value if isinstance(value, str) else _compact(value)
    return text[:LONGEST_VALUE]


def _parsed(text: str, field: str) -> object:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as error:
        raise Fault(field, "not JSON") from error


def _compact(value: object) -> str:
    try:
        return msgspec.json.encode(value).decode()
    except (OverflowError, RecursionError, TypeError, UnicodeEncodeError, ValueError) as error:
        raise Fault("line", "holds a value that JSON has no place for") from error

"""One spelling of structured answers: a model that sees the same JSON now with blanks and now without learns both by halves."""

import json
from collections.abc import Mapping

from pydantic import JsonValue, TypeAdapter, ValidationError

_object = TypeAdapter[dict[str, JsonValue]](dict[str, JsonValue])


def spelt_like(answer: str | None, correction: str) -> str:
    """The correction, in the spelling that servers use if they do: JSON without blanks corrects JSON without blanks."""
    said = None if answer is None else _compact(answer)
    if said is None or said != answer:
        return correction
    return _compact(correction) or correction


def spell(answer: Mapping[str, JsonValue]) -> str:
    """A structured answer in the spelling that servers use: JSON without blanks, its fields in their order."""
    return json.dumps(answer, ensure_ascii=False, separators=(",", ":"))


def _compact(text: str) -> str | None:
    """A JSON object without blanks; None if the text is something else."""
    try:
        return spell(_object.validate_json(text))
    except (ValidationError, RecursionError):
        return None

"""Which columns of an odd file hold what, as the person who uploads it says."""

from collections.abc import Iterable
from enum import StrEnum

import msgspec

from dataset_svc.domain.sources.records import Fault, Fields
from loopwright.errors import Invalid

_MOST_SHOWN = 30
_LONGEST_SHOWN = 40
_LONGEST_NAME = 200


class Part(StrEnum):
    """What a column can hold; the values are the field names that records without mapping use."""

    PROMPT = "prompt"
    COMPLETION = "completion"
    CONTEXT = "context"
    SYSTEM = "system"
    MESSAGES = "messages"
    TOOLS = "tools"
    CHOSEN = "chosen"
    REJECTED = "rejected"
    THUMB = "thumb"
    METADATA = "metadata"
    CATEGORY = "category"
    GROUP = "group"
    SAMPLE_ID = "sample_id"
    UNIT_HASH = "unit_hash"


ColumnMapping = dict[Part, str]
_ANSWERS = {Part.COMPLETION, Part.CHOSEN}


def check_mapping(mapping: ColumnMapping) -> None:
    """Refuses a mapping that no file could fulfil.

    Raises:
        Invalid: it names no question or no answer, or a column's name is no name.
    """
    parts = set(mapping)
    if Part.MESSAGES not in parts and not (Part.PROMPT in parts and parts & _ANSWERS):
        reason = "the mapping must name messages, or prompt with completion, or prompt with chosen and rejected"
        raise Invalid("upload.bad-mapping", reason, field="mapping")
    if (Part.CHOSEN in parts) != (Part.REJECTED in parts):
        raise Invalid("upload.bad-mapping", "chosen and rejected come together", field="mapping")
    if any(not name or len(name) > _LONGEST_NAME or "\0" in name for name in mapping.values()):
        raise Invalid("upload.bad-mapping", "a column's name is empty, too long or no text", field="mapping")


def require_columns(mapping: ColumnMapping, columns: Iterable[str]) -> None:
    """Refuses a table that does not fit the mapping.

    Raises:
        Invalid: columns are missing; names those that there are.
    """
    present = list(columns)
    missing = sorted(set(mapping.values()) - set(present))
    if missing:
        detail = f"the mapping names {shown(missing)}, and the columns are {shown(present)}"
        raise Invalid("source.columns-missing", detail)


def field_names(content: bytes) -> list[str]:
    """Names of the fields of a JSON object; none if it is none."""
    try:
        return list(msgspec.json.decode(content, type=dict[str, msgspec.Raw]))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return []


def shown(columns: Iterable[str]) -> str:
    """Names for a person; many or long ones are cut."""
    names = [repr(name[:_LONGEST_SHOWN]) for name in columns]
    more = len(names) - _MOST_SHOWN
    return ", ".join(names[:_MOST_SHOWN]) + (f" and {more} more" if more > 0 else "") or "none"


def apply_mapping(mapping: ColumnMapping, fields: Fields) -> Fields:
    """The record with known field names; what is not mapped is left out.

    Raises:
        Fault: the record has none of the mapped columns.
    """
    if not any(column in fields for column in mapping.values()):
        raise Fault("line", "has none of the columns that the mapping names")
    return {part.value: fields[column] for part, column in mapping.items() if column in fields}

"""The short way for the commonest record: chat messages of plain texts, decoded and checked in one step."""

from typing import Annotated

import msgspec

from dataset_svc.domain.sources.record_turns import (
    LARGEST_INTEGER,
    LONGEST_KEY,
    LONGEST_VALUE,
    MOST_METADATA,
    label_of,
)
from dataset_svc.domain.sources.records import Record

_KNOWN_ROLES = frozenset({"system", "user", "assistant", "tool"})
_Absent = msgspec.UnsetType
_Key = Annotated[str, msgspec.Meta(max_length=LONGEST_KEY)]
_Text = Annotated[str, msgspec.Meta(max_length=LONGEST_VALUE)]
_Whole = Annotated[int, msgspec.Meta(ge=-LARGEST_INTEGER, le=LARGEST_INTEGER)]
# what `flat_metadata` leaves as it is
_Flat = Annotated[dict[_Key, _Text | _Whole | float | bool | None], msgspec.Meta(max_length=MOST_METADATA)]


class _PlainChat(Record, frozen=True, kw_only=True, gc=False):
    """A record that the fields which everybody has say all of; any other field of a known name is a misfit."""

    metadata: _Flat | None = None
    tools: None = None
    rejected: None = None
    thumb: None = None
    chosen: _Absent = msgspec.UNSET
    kto_tag: _Absent = msgspec.UNSET
    label: _Absent = msgspec.UNSET
    system: _Absent = msgspec.UNSET
    system_prompt: _Absent = msgspec.UNSET
    images: _Absent = msgspec.UNSET
    videos: _Absent = msgspec.UNSET
    audios: _Absent = msgspec.UNSET
    image: _Absent = msgspec.UNSET
    video: _Absent = msgspec.UNSET
    audio: _Absent = msgspec.UNSET


_EMPTY_ONES = frozenset({"tools", "rejected", "thumb"})
_decoder = msgspec.json.Decoder(_PlainChat)


def read_plain_chat(content: bytes) -> Record | None:
    """The record; None if it is anything else, which the long way then reads or refuses with a reason."""
    try:
        chat = _decoder.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if not chat.messages and _EMPTY_ONES.intersection(msgspec.json.decode(content)):
        return None  # the long way looks for turns elsewhere
    for turn in chat.messages:
        if turn.tool_calls is not None or turn.role not in _KNOWN_ROLES:
            return None
    metadata = chat.metadata or {}
    category, group = label_of(chat.category, metadata, "category"), label_of(chat.group, metadata, "group")
    # a record is frozen for those who get it
    if chat.metadata is not None and not metadata:
        msgspec.structs.force_setattr(chat, "metadata", None)
    if category is not chat.category:
        msgspec.structs.force_setattr(chat, "category", category)
    if group is not chat.group:
        msgspec.structs.force_setattr(chat, "group", group)
    return chat

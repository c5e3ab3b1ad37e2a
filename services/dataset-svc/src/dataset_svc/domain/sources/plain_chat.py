"""The short way for the commonest record: chat messages of plain texts, decoded and checked in one step."""

import msgspec

from dataset_svc.domain.samples import Scalar, Turn
from dataset_svc.domain.sources.record_turns import flat_metadata, label_of
from dataset_svc.domain.sources.records import Id, Label, Record
from loopwright.contracts.datasets import SampleSource

_KNOWN_ROLES = frozenset({"system", "user", "assistant", "tool"})
_Rare = msgspec.Raw | msgspec.UnsetType


class _PlainChat(msgspec.Struct, frozen=True):
    messages: tuple[Turn, ...]
    sample_id: Id | None = None
    task_id: str | None = None
    input: str | None = None
    source: SampleSource | None = None
    inference_id: Id | None = None
    rating_ids: tuple[Id, ...] = ()
    unit_hash: Id | None = None
    weight_0_1: float = 1.0
    metadata: dict[str, Scalar] | None = None
    category: Label | None = None
    group: Label | None = None
    chosen: _Rare = msgspec.UNSET
    rejected: _Rare = msgspec.UNSET
    thumb: _Rare = msgspec.UNSET
    kto_tag: _Rare = msgspec.UNSET
    label: _Rare = msgspec.UNSET
    tools: _Rare = msgspec.UNSET
    system: _Rare = msgspec.UNSET
    system_prompt: _Rare = msgspec.UNSET
    images: _Rare = msgspec.UNSET
    videos: _Rare = msgspec.UNSET
    audios: _Rare = msgspec.UNSET
    image: _Rare = msgspec.UNSET
    video: _Rare = msgspec.UNSET
    audio: _Rare = msgspec.UNSET

    @property
    def is_plain(self) -> bool:
        """Whether the fields that everybody has say all."""
        unset = msgspec.UNSET
        if not (self.chosen is self.rejected is self.thumb is self.kto_tag is self.label is self.tools is unset):
            return False
        if not (self.system is self.system_prompt is self.images is self.videos is self.audios is unset):
            return False
        if not (self.image is self.video is self.audio is unset):
            return False
        if not 0 <= self.weight_0_1 <= 1:
            return False
        for turn in self.messages:  # noqa: SIM110 - a generator costs as much again as the loop
            if turn.tool_calls is not None or turn.role not in _KNOWN_ROLES:
                return False
        return True


_decoder = msgspec.json.Decoder(_PlainChat)


def read_plain_chat(content: bytes) -> Record | None:
    """The record; None if it is anything else, which the long way then reads or refuses with a reason."""
    try:
        chat = _decoder.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if not chat.is_plain:
        return None
    metadata = flat_metadata(chat.metadata)
    return Record(
        messages=chat.messages,
        sample_id=chat.sample_id,
        task_id=chat.task_id,
        input=chat.input,
        source=chat.source,
        inference_id=chat.inference_id,
        rating_ids=chat.rating_ids,
        unit_hash=chat.unit_hash,
        weight_0_1=chat.weight_0_1,
        metadata=metadata or None,
        category=label_of(chat.category, metadata, "category"),
        group=label_of(chat.group, metadata, "group"),
    )

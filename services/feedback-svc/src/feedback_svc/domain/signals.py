"""Answered requests as ingestion takes them: the fields of `inference.completed`, without what it costs to make its model."""

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from loopwright.contracts.inferences import last_said

Count = Annotated[int, Meta(ge=0)]


class Turn(msgspec.Struct, frozen=True, gc=False):
    """One turn of a conversation."""

    role: Annotated[str, Meta(max_length=32)]
    content: str


class Answered(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A request was answered, or failed; what each field means, the contract says."""

    inference_id: str
    task_id: str
    task_version: Annotated[int, Meta(ge=1)]
    variant_id: str
    served_variant_id: str
    unit_hash: str
    http_status: Annotated[int, Meta(ge=100, le=599)]
    latency_ms: Annotated[float, Meta(ge=0)]
    completed_at: Annotated[datetime, Meta(tz=True)]
    experiment_id: str | None = None
    pinned: bool = False
    arm: Annotated[int, Meta(ge=0, le=9)] | None = None
    epoch: Annotated[int, Meta(ge=1)] | None = None
    propensity_0_1: Annotated[float, Meta(ge=0, le=1)] | None = None
    shadow_of: str | None = None
    tenant: str | None = None
    fallback: bool = False
    input: str | None = None
    messages: tuple[Turn, ...] | None = None
    answer: str | None = None
    sealed_content: str | None = None
    finish_reason: str | None = None
    prompt_tokens: Count | None = None
    completion_tokens: Count | None = None
    first_byte_ms: Annotated[float, Meta(ge=0)] | None = None

    def __post_init__(self) -> None:
        if self.input is None and self.messages:
            msgspec.structs.force_setattr(self, "input", last_said(self.messages))

    @property
    def identifiers(self) -> tuple[str | None, ...]:
        """Everything that the contract calls an identifier."""
        return (
            self.inference_id, self.task_id, self.variant_id, self.served_variant_id, self.unit_hash,
            self.experiment_id, self.shadow_of, self.tenant,
        )  # fmt: skip

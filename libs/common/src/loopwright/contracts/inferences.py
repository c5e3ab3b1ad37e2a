"""One request and its answer, and what somebody said of it."""

from collections.abc import Iterable
from typing import Protocol, Self

from pydantic import Field, model_validator

from loopwright.contracts.base import ChatMessage, Event, Identifier, Moment, Share, Value

LARGEST_VALUE = 1e12  # of a named number, either way: sums of squares of many stay exact enough and finite


class Said(Protocol):
    """A turn of a conversation."""

    @property
    def role(self) -> str: ...
    @property
    def content(self) -> str: ...


def last_said(turns: Iterable[Said]) -> str | None:
    """What the user said last; None if nothing."""
    said = None
    for turn in turns:
        if turn.role == "user":
            said = turn.content
    return said


class Conversation(Value):
    """Words of an inference. What the user said last is written once: where `messages` have it, `input` is left out."""

    input: str | None = Field(
        default=None,
        description="what the user sent last, before the task's template; left out where it is the user's last turn in "
        "`messages`, and read from there; none where the task's privacy says so",
    )
    messages: tuple[ChatMessage, ...] | None = Field(default=None, description="conversation as the model saw it")
    answer: str | None = Field(default=None, description="text of the answer")

    @model_validator(mode="after")
    def _fill_input(self) -> Self:
        if self.input is None and self.messages:
            object.__setattr__(self, "input", last_said(self.messages))
        return self


class InferenceCompleted(Event, Conversation):
    """A request was answered, or failed, and the last byte has been sent."""

    inference_id: Identifier = Field(description="signed, self-describing id that the client received")
    task_id: Identifier = Field(description="task")
    task_version: int = Field(ge=1, description="version of the task's definition that was applied")
    experiment_id: Identifier | None = Field(
        default=None, description="experiment that assigned the variant, if one was running"
    )
    variant_id: Identifier = Field(description="assigned variant: what analysis counts (intention to treat)")
    served_variant_id: Identifier = Field(
        description="variant that answered; differs from the assigned one after a fallback"
    )
    pinned: bool = Field(
        default=False, description="the client asked for this variant by name; no experiment counts it"
    )
    arm: int | None = Field(
        default=None,
        ge=0,
        le=9,
        description="arm of that experiment: 0 the champion's, 1 the candidate's, from 2 on the further candidates' in "
        "the order of experiment.changed; all that tells the arms apart in an A/A of one variant",
    )
    epoch: int | None = Field(default=None, ge=1, description="epoch of the experiment that assigned it")
    propensity_0_1: Share | None = Field(
        default=None, description="probability with which the experiment gives this unit's like the assigned variant"
    )
    shadow_of: Identifier | None = Field(
        default=None, description="inference whose request was copied to ask this variant; nobody saw the answer"
    )
    tenant: Identifier | None = Field(default=None, description="tenant of the caller's key; none where keys have none")
    fallback: bool = Field(default=False, description="the assigned variant failed before its first byte")
    unit_hash: Identifier = Field(description="keyed hash of the user or session that was assigned")
    sealed_content: str | None = Field(
        default=None,
        description="input, messages and answer as JSON, sealed (AES-256-GCM, envelope key, base64), in their place "
        "where the task's privacy says so",
    )
    http_status: int = Field(ge=100, le=599, description="status that the client received")
    finish_reason: str | None = Field(default=None, description="why generation ended, in the server's words")
    prompt_tokens: int | None = Field(default=None, ge=0, description="tokens read")
    completion_tokens: int | None = Field(default=None, ge=0, description="tokens written")
    first_byte_ms: float | None = Field(default=None, ge=0, description="milliseconds from request to first byte")
    latency_ms: float = Field(ge=0, description="milliseconds from request to last byte")
    completed_at: Moment = Field(description="when the last byte left")


class InferenceRated(Event):
    """Somebody, or some checker, judged an answer. The latest rating of one rater for one metric counts."""

    rating_id: Identifier = Field(description="id of this rating")
    inference_id: Identifier = Field(description="what was rated")
    task_id: Identifier = Field(description="task, read from the signed id")
    experiment_id: Identifier | None = Field(default=None, description="experiment, read from the signed id")
    variant_id: Identifier = Field(description="assigned variant, read from the signed id")
    arm: int | None = Field(default=None, ge=0, le=9, description="arm of the experiment, read from the signed id")
    epoch: int | None = Field(default=None, ge=1, description="epoch of the experiment, read from the signed id")
    tenant: Identifier | None = Field(default=None, description="tenant of the rater's key, if it has one")
    unit_hash: Identifier = Field(description="unit that was assigned, read from the signed id")
    rater_hash: Identifier = Field(description="keyed hash of who rated; the unit itself unless said otherwise")
    metric: Identifier = Field(description="`stars`, `thumb` or a named metric")
    value: float | None = Field(
        default=None, description="stars 1-5; thumb 0 or 1; boolean 0 or 1; none if only corrected"
    )
    comment: str | None = Field(default=None, max_length=10_000, description="in the rater's words")
    correction: str | None = Field(default=None, max_length=100_000, description="the answer as it should have been")
    rated_at: Moment = Field(description="when")

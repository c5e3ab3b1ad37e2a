"""What msgspec reads and writes of JSON on a request's path.

These classes say by keywords how they are made, and `make native` would drop such keywords without a word: this
module stays as it is.
"""

from collections.abc import Sequence
from typing import Annotated

import msgspec

NOTHING = b"null"
Sent = msgspec.Raw | msgspec.UnsetType
_Count = Annotated[int, msgspec.Meta(ge=0)]


class AskedMessage(msgspec.Struct, gc=False):
    """One message of a chat request, its content unparsed."""

    role: str
    content: msgspec.Raw = msgspec.Raw(NOTHING)


class Named(msgspec.Struct):
    """The fields of every request that we read ourselves; a null means that the field was not sent."""

    model: str
    user: str | None = None
    stream: bool | None = None


class AskedChat(Named):
    """A chat request as far as a task changes it; read in one pass over the body."""

    messages: list[AskedMessage] | None = None
    stream_options: Sent = msgspec.UNSET
    response_format: Sent = msgspec.UNSET
    structured_outputs: Sent = msgspec.UNSET
    temperature: Sent = msgspec.UNSET
    top_p: Sent = msgspec.UNSET
    max_tokens: Sent = msgspec.UNSET
    max_completion_tokens: Sent = msgspec.UNSET
    prompt_logprobs: Sent = msgspec.UNSET
    echo: Sent = msgspec.UNSET


class Part(msgspec.Struct, gc=False):
    """A part of a composed message; only texts are read."""

    type: str = ""
    text: str = ""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """The first choice of an answer; None is what the server did not say."""

    text: str | None = None
    finish_reason: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class Usage(msgspec.Struct, gc=False):
    """What an answer says of its tokens."""

    prompt_tokens: _Count | None = None
    completion_tokens: _Count | None = None


class Said(msgspec.Struct, gc=False):
    """A message of an answer, or a piece of one."""

    content: str | None = None


class Choice(msgspec.Struct, gc=False):
    """One of the answers to a request."""

    index: int = 0
    message: Said | None = None
    delta: Said | None = None
    text: str | None = None
    finish_reason: str | None = None


class AnswerBody(msgspec.Struct, gc=False):
    """A whole answer, or one event of a stream."""

    choices: list[Choice] = []
    usage: Usage | None = None


class Completed(msgspec.Struct, kw_only=True, gc=False):
    """`InferenceCompleted` as it is written, but for `Texts`. A test holds their fields to the contract's."""

    inference_id: str
    task_id: str
    task_version: int
    experiment_id: str | None
    variant_id: str
    served_variant_id: str
    pinned: bool
    epoch: int | None
    arm: int | None
    propensity_0_1: float | None
    shadow_of: str | None = None
    tenant: str | None
    fallback: bool
    unit_hash: str
    sealed_content: str | None = None
    http_status: int
    finish_reason: str | None
    prompt_tokens: int | None
    completion_tokens: int | None
    first_byte_ms: float | None
    latency_ms: float
    completed_at: str


class Texts(msgspec.Struct, gc=False):
    """Fields of `InferenceCompleted` that hold the conversation, as JSON; they may be long, and are copied only once.

    Attributes:
        messages: In pieces.
    """

    input: bytes = NOTHING
    messages: Sequence[bytes] = (NOTHING,)
    answer: bytes = NOTHING

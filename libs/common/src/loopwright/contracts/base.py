"""What every event and shared value is: a frozen model whose readers ignore fields that they do not know."""

from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, JsonValue


def storable(text: str) -> str:
    """The text, if PostgreSQL can keep it.

    Raises:
        ValueError: it cannot; says why.
    """
    if "\0" in text:
        raise ValueError("holds a NUL character, which cannot be stored")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError("holds half of a surrogate pair, which is no character") from error
    return text


JsonObject = dict[str, JsonValue]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
Identifier = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[A-Za-z0-9][A-Za-z0-9._:@\-]*$")]
Moment = AwareDatetime
Storable = Annotated[str, AfterValidator(storable)]  # text from outside that PostgreSQL can keep


class Value(BaseModel):
    """A frozen value inside an event."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Event(Value):
    """A fact in the past tense, complete enough that a consumer need not call back."""


class Artifact(Value):
    """Something large, named by content and kept in object storage; never travels inside an event."""

    uri: str = Field(description="where it is: file:// or s3://", max_length=2048)
    sha256: Sha256 = Field(description="hash of its bytes, hexadecimal")
    size_bytes: int = Field(ge=0, description="length in bytes")
    media_type: str = Field(default="application/octet-stream", description="RFC 6838 media type")


class ChatMessage(Value):
    """One turn of a conversation."""

    role: str = Field(max_length=32, description="system, user, assistant or tool")
    content: str = Field(description="text of the turn")


class RunState(StrEnum):
    """States of a long piece of work, in events."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    STOPPED = "stopped"


__all__ = [
    "Artifact",
    "ChatMessage",
    "Event",
    "Identifier",
    "JsonObject",
    "Moment",
    "RunState",
    "Sha256",
    "Share",
    "Value",
]

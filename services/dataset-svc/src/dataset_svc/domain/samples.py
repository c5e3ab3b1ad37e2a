"""What a training sample is: a conversation that ends in the answer to learn, and where it came from."""

import hashlib
import unicodedata
from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from loopwright.contracts.datasets import SampleSource


class SplitName(StrEnum):
    """The three parts of a version."""

    TRAIN = "train"
    VALIDATION = "validation"
    HELD_OUT = "held_out"


Scalar = str | int | float | bool | None


class Turn(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One message of a conversation.

    Attributes:
        content: Its text; of a turn that only calls tools, the calls as JSON text, for readers that know only text.
        tool_calls: JSON text of the calls as OpenAI's API lists them; None if the turn makes none.
    """

    role: str
    content: str
    tool_calls: str | None = None


class Sample(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One line of a split file, field by field in the order in which it is written.

    What has a default is written only if it is set.

    Attributes:
        input: What the user sent last, before any template was put around it.
        messages: The conversation as the model sees it; the last turn is the assistant's answer.
        unit_hash: Keyed hash of the person whose rating or correction it is; None if nobody's.
        tools: JSON text of the tools that the model may call.
        rejected: Answer that was liked less than the last turn: the sample is a preference pair.
        thumb: Whether the last turn was liked. False makes the answer one to avoid: it teaches by preference (KTO)
            and must never be imitated. None if nobody said.
        metadata: What the record said about itself; flat and small.
        category: Class by which splits are stratified.
        group: User, document or the like whose samples must stay on one side of a split.
    """

    sample_id: str
    task_id: str
    input: str
    messages: tuple[Turn, ...]
    source: SampleSource
    inference_id: str | None
    rating_ids: tuple[str, ...]
    unit_hash: str | None
    weight_0_1: float
    tools: str | None = None
    rejected: str | None = None
    thumb: bool | None = None
    metadata: dict[str, Scalar] | None = None
    category: str | None = None
    group: str | None = None

    @property
    def question(self) -> str:
        """What the answer answers: never the system prompt, which all samples of a task share."""
        if is_one_question(self.messages):  # most samples
            return self.input
        turns = [turn for turn in self.messages[:-1] if turn.role != "system"]
        if len(turns) == 1:
            return self.input
        return "\n".join(f"{turn.role}: {turn.content}" for turn in turns)

    @property
    def answer(self) -> str:
        return self.messages[-1].content

    @property
    def preference(self) -> tuple[bool, float, str]:
        return preference_of(self.source, self.weight_0_1, self.sample_id)


class Spoken(Protocol):
    """A turn, as far as it says who speaks."""

    @property
    def role(self) -> str: ...


def is_one_question(turns: Sequence[Spoken]) -> bool:
    """Whether one turn that is no system prompt stands before the answer, as far as one look tells."""
    if len(turns) == 3:
        return turns[0].role == "system" != turns[1].role
    return len(turns) == 2 and turns[0].role == "user"


_LINE_END = ord("\n")
_decoder = msgspec.json.Decoder(Sample)
_encoder = msgspec.json.Encoder()


def encode(sample: Sample) -> bytes:
    """The sample as one line of JSON; equal samples give equal bytes."""
    return _encoder.encode(sample) + b"\n"


def encode_all(samples: Sequence[Sample]) -> tuple[bytes, NDArray[np.int64]]:
    """The lines of samples one after the other, and where each ends."""
    lines = _encoder.encode_lines(samples)
    return lines, ends_of_lines(lines)


def ends_of_lines(lines: bytes) -> NDArray[np.int64]:
    """Behind the line end of each, which no JSON has within."""
    return np.flatnonzero(np.frombuffer(lines, dtype=np.uint8) == _LINE_END) + 1


def decode(line: bytes | str) -> Sample:
    """The sample that a line holds.

    Raises:
        msgspec.DecodeError: it holds none.
    """
    return _decoder.decode(line)


def preference_of(source: SampleSource, weight_0_1: float, sample_id: str) -> tuple[bool, float, str]:
    """Sorts the better of two samples first: a correction, then the heavier, then by id."""
    return (source is not SampleSource.CORRECTION, -weight_0_1, sample_id)


def same_text(text: str) -> str:
    """Texts that differ in composition and spacing only become one; case is kept, for it can carry meaning.

    NUL goes as well: PostgreSQL cannot keep it.
    """
    composed = text if text.isascii() else unicodedata.normalize("NFC", text)
    # no white space is printable but the space
    if composed.isprintable() and "  " not in composed and composed[:1] != " " and composed[-1:] != " ":
        return composed
    return " ".join(composed.replace("\0", " ").split())


def sha256_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()

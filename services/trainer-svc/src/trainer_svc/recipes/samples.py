"""Samples as files hold them, and which of them an objective can learn from."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, Json, JsonValue, ValidationError

from trainer_svc.recipes.failures import TrainingFailed

_ADVICE = "validate the dataset again; a line is {sample_id, messages}, its last message the assistant's answer"


class Turn(BaseModel):
    """One message of a sample.

    Attributes:
        tool_calls: Calls as OpenAI's API lists them; written as JSON text.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    role: str
    content: str
    tool_calls: Json[list[dict[str, JsonValue]]] | None = None


class Sample(BaseModel):
    """A conversation whose last message is the answer to learn, or to avoid.

    Attributes:
        tools: What the model may call, as OpenAI's API lists it; written as JSON text.
        rejected: Answer that was liked less than the last message.
        thumb: Whether the answer was liked; False makes it one that must not be imitated.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    sample_id: str
    thumb: bool | None = None
    rejected: str | None = None
    tools: Json[list[dict[str, JsonValue]]] | None = None
    messages: tuple[Turn, ...] = Field(min_length=2)

    @property
    def answer(self) -> Turn:
        return self.messages[-1]


@dataclass(frozen=True)
class Use:
    """What an objective learns from.

    Attributes:
        suits: Whether it can learn from a sample.
        code: Of the failure when it can learn from none.
        lacking: What there is none of, after "holds no".
        advice: What to do then.
    """

    suits: Callable[[Sample], bool]
    code: str
    lacking: str
    advice: str


IMITATION = Use(
    lambda sample: sample.thumb is not False, "training.no-data", "samples to imitate", _ADVICE
)  # what was disliked must not be learned
PAIRS = Use(
    lambda sample: sample.rejected not in {None, sample.answer.content} and sample.thumb is not False,
    "training.no-pairs",
    "preference pairs: no sample has a rejected answer that differs from its last message",
    "gather corrections, or use objective sft or kto",
)
THUMBS = Use(
    lambda sample: sample.thumb is not None,
    "training.no-thumbs",
    "rated answers: no sample has a thumb",
    "gather ratings, or use objective sft or dpo",
)


@dataclass(frozen=True)
class Splits:
    """The samples that an objective uses.

    Attributes:
        left_out: Training samples that it cannot learn from.
    """

    train: list[Sample]
    validation: list[Sample]
    left_out: int


def read_splits(train_file: Path, validation_file: Path | None, *, use: Use) -> Splits:
    """Reads both splits.

    Raises:
        TrainingFailed: a file cannot be read, or the training split holds nothing of use.
    """
    train = read_samples(train_file)
    suited = [sample for sample in train if use.suits(sample)]
    if not suited:
        raise TrainingFailed(use.code, f"{train_file.name} holds no {use.lacking}", advice=use.advice)
    watched = [] if validation_file is None else read_samples(validation_file)
    return Splits(suited, [sample for sample in watched if use.suits(sample)], len(train) - len(suited))


def read_samples(path: Path) -> list[Sample]:
    """Reads JSON Lines.

    Raises:
        TrainingFailed: the file is missing, or a line is not a sample; says which.
    """
    try:
        with path.open(encoding="utf-8") as file:
            return list(_read_lines(file, path.name))
    except (OSError, UnicodeDecodeError) as error:
        raise TrainingFailed("training.unreadable-data", f"{path} cannot be read: {error}", advice=_ADVICE) from error


def _read_lines(lines: Iterator[str], name: str) -> Iterator[Sample]:
    for number, line in enumerate(lines, start=1):
        if line.strip():
            yield _read_sample(line, f"{name} line {number}")


def _read_sample(line: str, place: str) -> Sample:
    try:
        sample = Sample.model_validate_json(line)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        reason = f"{place}: {'.'.join(map(str, first['loc'])) or 'line'}: {first['msg']}"
        raise TrainingFailed("training.unreadable-data", reason, advice=_ADVICE) from error
    if sample.answer.role != "assistant":
        reason = f"{place}: the last message is the {sample.answer.role}'s, not the assistant's"
        raise TrainingFailed("training.unreadable-data", reason, advice=_ADVICE)
    return sample

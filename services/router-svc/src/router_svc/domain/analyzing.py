"""What /analyze and /label ask of which task, and what they read out of its answer."""

from enum import StrEnum

import msgspec
from pydantic import JsonValue, TypeAdapter, ValidationError

from loopwright.contracts.base import JsonObject
from loopwright.errors import DependencyError

LABEL_TASK = "math-label"
LABELS = ("대분류", "중분류", "하위 분류")
_object = TypeAdapter(dict[str, JsonValue])
_LONGEST_ANSWER = 1 << 20  # characters


class Kind(StrEnum):
    """What is found out about a text."""

    SENTIMENT = "sentiment"
    ANOMALY = "anomaly"
    SUMMARY = "summary"


TASKS = {Kind.SENTIMENT: "log-sentiment", Kind.ANOMALY: "log-anomaly", Kind.SUMMARY: "log-summary"}


class AnswerUnreadable(DependencyError):
    """A model answered in another form than its task asks for; the answer can be rated all the same."""


def read_object(text: str) -> JsonObject:
    """An answer that should be a JSON object.

    Raises:
        AnswerUnreadable: it is none, or was cut off.
    """
    try:
        return _object.validate_python(msgspec.json.decode(text[:_LONGEST_ANSWER].strip().encode(errors="replace")))
    except (msgspec.MsgspecError, ValidationError, RecursionError) as error:
        raise AnswerUnreadable("router.answer-unreadable", "the model's answer is not in the task's form") from error


def read_labels(text: str) -> dict[str, str]:
    """The three labels of a problem.

    Raises:
        AnswerUnreadable: one is missing or no text.
    """
    found = read_object(text)
    labels = {name: value for name in LABELS if isinstance(value := found.get(name), str) and value}
    if len(labels) < len(LABELS):
        raise AnswerUnreadable("router.answer-unreadable", "the model's answer lacks a label")
    return labels

"""Samples as rows of TRL's conversational formats: what the model's own chat template turns into tokens."""

import json
from collections.abc import Callable, Sequence
from typing import cast

from datasets import Dataset
from pydantic import JsonValue

from trainer_svc.recipes.samples import Sample, Turn

Row = dict[str, object]


def answered(sample: Sample) -> Row:
    """Prompt and completion: the loss then covers the completion alone."""
    return _asked(sample) | {"completion": [_message(sample.answer)]}


def preferred(sample: Sample) -> Row:
    """Prompt with the chosen and the rejected answer."""
    rejected = {"role": "assistant", "content": sample.rejected}
    return _asked(sample) | {"chosen": [_message(sample.answer)], "rejected": [rejected]}


def rated(sample: Sample) -> Row:
    """Prompt and completion, with whether it was liked."""
    return answered(sample) | {"label": sample.thumb}


def as_dataset(samples: Sequence[Sample], row: Callable[[Sample], Row]) -> Dataset:
    # without JSON fields, arguments of one call would appear as empty ones in all others
    return Dataset.from_list([row(sample) for sample in samples], on_mixed_types="use_json")


def _asked(sample: Sample) -> Row:
    tools = None if sample.tools is None else json.dumps(sample.tools)  # TRL reads them from text
    return {"prompt": [_message(turn) for turn in sample.messages[:-1]], "tools": tools}


def _message(turn: Turn) -> Row:
    if turn.tool_calls is None:
        return {"role": turn.role, "content": turn.content}
    # a turn that does nothing but call has its calls as content, for readers that know only text
    said = "" if _parsed(turn.content) == turn.tool_calls else turn.content
    return {"role": turn.role, "content": said, "tool_calls": [_call(call) for call in turn.tool_calls]}


def _call(call: dict[str, JsonValue]) -> Row:
    """A call with its arguments as an object: OpenAI's API writes them as text, chat templates want the object."""
    function = call.get("function")
    arguments = _parsed(function.get("arguments")) if isinstance(function, dict) else None
    told = cast("Row", call)
    return told if arguments is None else told | {"function": cast("Row", function) | {"arguments": arguments}}


def _parsed(text: JsonValue) -> JsonValue:
    """What JSON text says; None if it is none."""
    try:
        return cast("JsonValue", json.loads(text)) if isinstance(text, str) else None
    except ValueError:
        return None

"""What the user said last is written once in an event, and read in both places."""

import pytest

from loopwright.contracts.inferences import Conversation, InferenceCompleted
from loopwright.contracts.registry import INFERENCE_COMPLETED
from loopwright.testing.examples import an_event

TURNS = [
    {"role": "user", "content": "first"}, {"role": "assistant", "content": "so?"}, {"role": "user", "content": "last"},
    {"role": "assistant", "content": "yes"},
]  # fmt: skip


@pytest.mark.parametrize(
    ("said", "messages", "read"),
    [
        (None, TURNS, "last"), ("before the template", TURNS, "before the template"), ("", TURNS, ""),
        (None, TURNS[1:2], None), (None, [], None), (None, None, None), ("alone", None, "alone"),
    ],
)  # fmt: skip
def test_what_is_left_out_is_the_last_turn_of_the_user(
    said: str | None, messages: list | None, read: str | None
) -> None:
    assert Conversation.model_validate({"input": said, "messages": messages}).input == read
    event = an_event(INFERENCE_COMPLETED, input=said, messages=messages)
    assert isinstance(event, InferenceCompleted)
    assert event.input == read

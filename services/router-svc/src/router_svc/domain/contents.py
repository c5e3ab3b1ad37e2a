"""What an event keeps of a conversation, and the door through which a task's privacy changes it."""

from collections.abc import Callable
from dataclasses import dataclass

from router_svc.domain.asking import Turn, Written, json_of
from router_svc.domain.escapes import storable
from router_svc.domain.shapes import Texts
from router_svc.domain.snapshot import Task


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """Texts of one inference.

    Attributes:
        user_input: What the user sent last, before the template.
        turns: The conversation as the model saw it.
        answer: Text of the answer, if there was any.
    """

    user_input: str | None
    turns: tuple[Turn, ...]
    answer: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Concealed:
    """What is left of it for the event.

    Attributes:
        content: Texts that may be read; None: none.
        sealed: The texts as JSON, sealed, in base64.
    """

    content: Content | None
    sealed: str | None = None


Conceal = Callable[[Task, Content, str], Concealed]  # the last is the inference's id


def texts_of(content: Content) -> Texts:
    """Texts that may be read, as an event has them."""
    asked = Written.of(content.user_input, [(turn.role, turn.text) for turn in content.turns])
    return Texts(
        input=asked.input_apart(),
        messages=asked.messages(),
        answer=storable(json_of(content.answer)),
    )

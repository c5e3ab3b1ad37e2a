"""Chat completions of OpenAI's API, as far as evaluation reads them."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

import httpx
from pydantic import BaseModel, Field, ValidationError

from loopwright.errors import ServingUnavailable

LATER: Final = frozenset(
    {HTTPStatus.NOT_FOUND, HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}
)
"""Refusals that say something about the moment, not about the request."""
_MOST_TOKENS: Final = 2**31 - 1  # PostgreSQL's integer


@dataclass(frozen=True, kw_only=True)
class Said:
    """One completion.

    Attributes:
        output_tokens: None, as `prompt_tokens`, where the server did not count.
    """

    text: str
    output_tokens: int | None
    prompt_tokens: int | None


class _Message(BaseModel):
    content: str | None = None


class _Choice(BaseModel):
    message: _Message


class _Usage(BaseModel):
    prompt_tokens: int | None = Field(default=None, ge=0, le=_MOST_TOKENS)
    completion_tokens: int | None = Field(default=None, ge=0, le=_MOST_TOKENS)


class _Completion(BaseModel):
    choices: list[_Choice] = Field(min_length=1)
    usage: _Usage | None = None


def read_completion(response: httpx.Response, *, of: str) -> Said:
    """The first choice of an answer.

    Args:
        of: Who answered, for the error.

    Raises:
        ServingUnavailable: it is no chat completion.
    """
    try:
        completion = _Completion.model_validate_json(response.content)
    except ValidationError as error:
        raise ServingUnavailable("serving.unreadable", f"the answer of {of} is not a chat completion") from error
    usage = completion.usage or _Usage()
    return Said(
        text=completion.choices[0].message.content or "",
        output_tokens=usage.completion_tokens,
        prompt_tokens=usage.prompt_tokens,
    )

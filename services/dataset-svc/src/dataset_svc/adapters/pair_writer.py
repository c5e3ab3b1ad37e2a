"""Asks a language model for pairs about a chunk; what it says is judged in `domain/texts/generated_pairs.py`."""

from collections import Counter
from http import HTTPStatus

import msgspec

from dataset_svc.adapters.model_endpoint import EndpointRefused, ModelEndpoint
from dataset_svc.domain.texts.generated_pairs import Parsed, Refusal, Template, parse_pairs, prompt_of, schema_of
from loopwright.contracts.base import JsonObject

_TEMPERATURE = 0.3
_TOKENS_A_PAIR = 600


class _Message(msgspec.Struct, frozen=True):
    content: str | None = None


class _Choice(msgspec.Struct, frozen=True):
    message: _Message
    finish_reason: str | None = None


class _Completion(msgspec.Struct, frozen=True):
    choices: tuple[_Choice, ...]


class PairWriter:
    """Writes pairs through one endpoint."""

    def __init__(self, endpoint: ModelEndpoint) -> None:
        self._endpoint = endpoint

    @property
    def model(self) -> str:
        return self._endpoint.model

    async def write(self, template: Template, source: str, *, headings: tuple[str, ...], wanted: int) -> Parsed:
        """Pairs about a text.

        Raises:
            EndpointRefused: the endpoint says no to this text.
            ServingUnavailable: the endpoint is away.
        """
        prompt = prompt_of(template, source, headings=headings, wanted=wanted)
        shape: JsonObject = {"name": f"{template}_pairs", "strict": True, "schema": schema_of(template, wanted)}
        body: JsonObject = {
            "messages": [message.model_dump(mode="json") for message in prompt],
            "response_format": {"type": "json_schema", "json_schema": shape},
            "temperature": _TEMPERATURE,
        }
        return _parsed(await self._complete(body, max_tokens=_TOKENS_A_PAIR * wanted), template, source, wanted)

    async def _complete(self, body: JsonObject, *, max_tokens: int) -> bytes:
        """An endpoint whose context has no room for so much is asked for what it has room for."""
        try:
            return await self._endpoint.post("chat/completions", {**body, "max_tokens": max_tokens})
        except EndpointRefused as error:
            if error.facts.get("status") != HTTPStatus.BAD_REQUEST:
                raise
            return await self._endpoint.post("chat/completions", body)

    async def close(self) -> None:
        await self._endpoint.close()


def _parsed(answer: bytes, template: Template, source: str, wanted: int) -> Parsed:
    try:
        choices = msgspec.json.decode(answer, type=_Completion).choices
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return Parsed(pairs=(), refused=Counter([Refusal.NOT_JSON]))
    content = choices[0].message.content if choices else None
    if choices and choices[0].finish_reason == "length":
        return Parsed(pairs=(), refused=Counter([Refusal.CUT_OFF]))
    if content is None:
        return Parsed(pairs=(), refused=Counter([Refusal.EMPTY]))
    return parse_pairs(content, template, source=source, wanted=wanted)

"""Asks a language model for pairs about a chunk; what it says is judged in `domain/texts/generated_pairs.py`."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus

import msgspec

from dataset_svc.adapters.model_endpoint import EndpointRefused, ModelEndpoint
from dataset_svc.domain.texts.generated_pairs import (
    Pair,
    Parsed,
    Refusal,
    Template,
    parse_pairs,
    prompt_of,
    schema_of,
)
from dataset_svc.domain.texts.portions import Portion, most_tokens
from loopwright.contracts.base import JsonObject

_TEMPERATURE = 0.3


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
        self._bounded = True  # until the endpoint refuses a schema for the lengths in it

    @property
    def model(self) -> str:
        return self._endpoint.model

    async def write(self, template: Template, source: str, *, headings: tuple[str, ...], wanted: int) -> Parsed:
        """Pairs about a text, few at a time; where an answer has no room, fewer and shorter ones.

        Raises:
            EndpointRefused: the endpoint says no to this text.
            ServingUnavailable: the endpoint is away.
        """
        pairs: list[Pair] = []
        refused: Counter[Refusal] = Counter()
        portion: Portion | None = Portion.of(source)
        while portion is not None and wanted > 0:
            portion = portion.at_most(wanted)
            ask = _Ask(template=template, source=source, headings=headings, portion=portion, known=tuple(pairs))
            parsed = await self._room_for(ask)
            if parsed is None:
                portion = portion.smaller()
                continue
            wanted -= portion.pairs
            pairs += parsed.pairs
            refused += parsed.refused
        if portion is None:
            refused[Refusal.CUT_OFF] += 1
        return Parsed(pairs=tuple(pairs), refused=refused)

    async def _room_for(self, ask: "_Ask") -> Parsed | None:
        """What the model says; None if it was cut off, or its context has no room for so much."""
        for body in self._ways(ask):
            try:
                answer = await self._endpoint.post("chat/completions", body.content)
            except EndpointRefused as error:
                if error.facts.get("status") != HTTPStatus.BAD_REQUEST or body.last:
                    raise
            else:
                self._bounded = body.bounded
                return _parsed(answer, ask)
        return None

    def _ways(self, ask: "_Ask") -> Iterator["_Body"]:
        """Ways to ask, the better first: not every endpoint knows lengths of texts. The least is asked without a limit too."""
        least = ask.portion.smaller() is None
        for limited in (True, False) if least else (True,):
            if self._bounded:
                yield _Body(content=ask.body(bounded=True, limited=limited), bounded=True)
            yield _Body(content=ask.body(bounded=False, limited=limited), bounded=False, last=least and not limited)

    async def close(self) -> None:
        await self._endpoint.close()


@dataclass(frozen=True, kw_only=True)
class _Ask:
    """One request: what is wanted of which text, and what the model wrote of it before."""

    template: Template
    source: str
    headings: tuple[str, ...]
    portion: Portion
    known: tuple[Pair, ...]

    def body(self, *, bounded: bool, limited: bool) -> JsonObject:
        prompt = prompt_of(self.template, self.source, headings=self.headings, portion=self.portion, known=self.known)
        schema = schema_of(self.template, self.portion, bounded=bounded)
        shape: JsonObject = {"name": f"{self.template}_pairs", "strict": True, "schema": schema}
        body: JsonObject = {
            "messages": [message.model_dump(mode="json") for message in prompt],
            "response_format": {"type": "json_schema", "json_schema": shape},
            "temperature": _TEMPERATURE,
        }
        if limited:
            body["max_tokens"] = most_tokens(schema_of(self.template, self.portion), source=self.source)
        return body


@dataclass(frozen=True, kw_only=True)
class _Body:
    """One way to ask.

    Attributes:
        bounded: The schema says how long texts may be.
        last: There is no smaller thing to ask for.
    """

    content: JsonObject
    bounded: bool
    last: bool = False


def _parsed(answer: bytes, ask: _Ask) -> Parsed | None:
    try:
        choices = msgspec.json.decode(answer, type=_Completion).choices
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return Parsed(pairs=(), refused=Counter([Refusal.NOT_JSON]))
    content = choices[0].message.content if choices else None
    if choices and choices[0].finish_reason == "length":
        return None
    if content is None:
        return Parsed(pairs=(), refused=Counter([Refusal.EMPTY]))
    return parse_pairs(content, ask.template, source=ask.source, portion=ask.portion)

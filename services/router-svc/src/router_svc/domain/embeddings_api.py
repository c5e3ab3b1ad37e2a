"""/v1/embeddings: passed on as it came, but for the model's name; an event keeps the text and the tokens, not the vectors."""

from typing import Annotated

import msgspec

from loopwright.errors import Invalid
from router_svc.domain.shapes import Answer

_UNREADABLE = (msgspec.MsgspecError, UnicodeError, RecursionError)
_Texts = Annotated[list[str], msgspec.Meta(min_length=1)]
_input = msgspec.json.Decoder(str | list[msgspec.Raw])
_texts = msgspec.json.Decoder(_Texts)


class _Usage(msgspec.Struct):
    prompt_tokens: Annotated[int, msgspec.Meta(ge=0)] | None = None


class _Embeddings(msgspec.Struct):
    usage: _Usage | None = None


_embeddings = msgspec.json.Decoder(_Embeddings)


def texts_of(fields: dict[str, msgspec.Raw]) -> str | None:
    """What is embedded, texts joined by line ends; None for token ids.

    Raises:
        Invalid: `input` is not what the OpenAI API takes.
    """
    try:
        sent = _input.decode(fields.get("input", msgspec.Raw(b"null")))
        if isinstance(sent, str):
            return sent
        if not sent:
            raise Invalid("router.malformed-request", "`input` is empty")
        return "\n".join(_texts.decode(fields["input"])) if bytes(sent[0]).lstrip().startswith(b'"') else None
    except _UNREADABLE as error:
        raise Invalid("router.malformed-request", f"`input` cannot be read: {error}"[:500]) from error


def read_embeddings(content: bytes) -> Answer:
    """Reads the copy of an answer: tokens alone. Never raises."""
    try:
        usage = _embeddings.decode(content).usage
    except _UNREADABLE:
        return Answer()
    return Answer(prompt_tokens=usage.prompt_tokens if usage else None)

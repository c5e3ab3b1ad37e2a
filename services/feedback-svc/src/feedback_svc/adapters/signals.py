"""Signals off the wire: read as structs, a tenth of a model's cost; whatever is not plainly right, the contract's model judges."""

import re
from collections.abc import Iterable

import msgspec

from feedback_svc.domain.ratings import Rating
from feedback_svc.domain.signals import Answered, Turn
from loopwright.contracts.inferences import InferenceCompleted, InferenceRated
from loopwright.sealed_content import open_conversation
from loopwright.sealing import KeyRing

# of `loopwright.contracts.base.Identifier`, one a line
_IDENTIFIERS = re.compile(r"(?:[A-Za-z0-9][A-Za-z0-9._:@\-]{0,199}\n)*")
_ODD = (msgspec.DecodeError, ValueError, RecursionError)
_decode_answered = msgspec.json.Decoder(Answered).decode
_decode_rating = msgspec.json.Decoder(Rating).decode


def read_answered(value: bytes) -> Answered:
    """An `inference.completed`.

    Raises:
        ValidationError: the contract's model refuses it.
    """
    try:
        answered = _decode_answered(value)
    except _ODD:
        return answered_of(InferenceCompleted.model_validate_json(value))
    if _are_identifiers(answered.identifiers):
        return answered
    return answered_of(InferenceCompleted.model_validate_json(value))


def read_rating(value: bytes) -> Rating:
    """An `inference.rated`; in no trace yet.

    Raises:
        ValidationError: the contract's model refuses it.
    """
    try:
        rating = _decode_rating(value)
    except _ODD:
        return rating_of(InferenceRated.model_validate_json(value))
    if _are_identifiers(rating.identifiers):
        return rating
    return rating_of(InferenceRated.model_validate_json(value))


def answered_of(event: InferenceCompleted) -> Answered:
    """The same fact."""
    return msgspec.convert(event, Answered, from_attributes=True)


def rating_of(event: InferenceRated) -> Rating:
    """The same fact."""
    return msgspec.convert(event, Rating, from_attributes=True)


def opened(answered: Answered, ring: KeyRing) -> Answered:
    """With its conversation in plain words; as it is if nothing in it is sealed.

    Raises:
        StoreUnavailable: sealed under a key that is not on the ring.
        InvalidPayload: it was changed, or sealed for another inference.
    """
    if answered.sealed_content is None:
        return answered
    found = open_conversation(answered.sealed_content, ring, inference_id=answered.inference_id)
    turns = found.messages and tuple(Turn(turn.role, turn.content) for turn in found.messages)
    return msgspec.structs.replace(
        answered, input=found.input, messages=turns, answer=found.answer, sealed_content=None
    )


def _are_identifiers(texts: Iterable[str | None]) -> bool:
    given = [text for text in texts if text is not None]
    lines = "\n".join((*given, ""))
    return _IDENTIFIERS.fullmatch(lines) is not None and lines.count("\n") == len(given)

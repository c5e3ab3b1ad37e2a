"""Conversations inside `inference.completed`, sealed for the services that hold the key file; bound to their inference."""

import base64
import binascii

from pydantic import TypeAdapter, ValidationError

from loopwright.contracts.inferences import Conversation, InferenceCompleted
from loopwright.errors import InvalidPayload, StoreUnavailable
from loopwright.sealing import KeyRing, seal_bytes, unseal_bytes

_conversation = TypeAdapter(Conversation)


def seal_content(content: bytes, ring: KeyRing, *, inference_id: str) -> str:
    """JSON of a `Conversation`, as the event's `sealed_content` has it."""
    return base64.b64encode(seal_bytes(content, ring, bound_to=inference_id.encode())).decode()


def open_conversation(sealed_content: str, ring: KeyRing | None, *, inference_id: str) -> Conversation:
    """What an event's `sealed_content` says.

    Raises:
        StoreUnavailable: sealed under a key that is not on the ring, or there is no ring.
        InvalidPayload: it was changed, or sealed for another inference.
    """
    if ring is None:
        raise StoreUnavailable("storage.key-missing", "a conversation is sealed, and no key file is configured")
    try:
        sealed = base64.b64decode(sealed_content, validate=True)
        return _conversation.validate_json(unseal_bytes(sealed, ring, bound_to=inference_id.encode()))
    except (binascii.Error, ValidationError) as error:
        raise InvalidPayload("storage.seal-broken", "a sealed conversation cannot be read") from error


def open_content(event: InferenceCompleted, ring: KeyRing | None) -> InferenceCompleted:
    """The event with its conversation in plain words; as it is if nothing in it is sealed.

    Raises:
        StoreUnavailable: sealed under a key that is not on the ring, or there is no ring.
        InvalidPayload: it was changed, or sealed for another inference.
    """
    if event.sealed_content is None:
        return event
    found = open_conversation(event.sealed_content, ring, inference_id=event.inference_id)
    plain = {"input": found.input, "messages": found.messages, "answer": found.answer, "sealed_content": None}
    return event.model_copy(update=plain)

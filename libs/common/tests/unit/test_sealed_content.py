"""Conversations that are sealed in events: who holds the key reads them, for the inference that they belong to."""

import base64
import json

import pytest

from loopwright.contracts.inferences import InferenceCompleted
from loopwright.contracts.registry import INFERENCE_COMPLETED
from loopwright.errors import InvalidPayload, StoreUnavailable
from loopwright.sealed_content import open_content, seal_content
from loopwright.sealing import KeyRing
from loopwright.testing.examples import an_event

RING = KeyRing("key-1", {"key-1": b"1" * 32})
ROTATED = KeyRing("key-2", {"key-1": b"1" * 32, "key-2": b"2" * 32})
TALK = {"input": "비밀", "messages": [{"role": "user", "content": "비밀"}], "answer": "그래"}


def event(inference_id: str = "inf_1", **changes: object) -> InferenceCompleted:
    sealed = seal_content(json.dumps(TALK).encode(), RING, inference_id="inf_1")
    fields = {"input": None, "messages": None, "answer": None, "sealed_content": sealed} | changes
    made = an_event(INFERENCE_COMPLETED, inference_id=inference_id, **fields)
    assert isinstance(made, InferenceCompleted)
    return made


@pytest.mark.parametrize("ring", [RING, ROTATED])
def test_who_holds_the_key_reads_what_was_said(ring: KeyRing) -> None:
    opened = open_content(event(), ring)
    assert (opened.input, opened.answer, opened.sealed_content) == ("비밀", "그래", None)
    assert [message.content for message in opened.messages or ()] == ["비밀"]


def test_nothing_of_it_stands_in_the_event() -> None:
    text = event().model_dump_json()
    assert "비밀" not in text
    assert "비밀".encode() not in base64.b64decode(event().sealed_content or "")


def test_an_event_that_is_not_sealed_is_as_it_was() -> None:
    plain = event(sealed_content=None, input="x")
    assert open_content(plain, None) is plain


@pytest.mark.parametrize("ring", [None, KeyRing("key-9", {"key-9": b"9" * 32})])
def test_without_the_key_it_waits(ring: KeyRing | None) -> None:
    with pytest.raises(StoreUnavailable, match="key"):
        open_content(event(), ring)


@pytest.mark.parametrize(
    "broken",
    [
        event(inference_id="inf_2"),
        event(sealed_content="?"),
        event(sealed_content=""),
        event(sealed_content=base64.b64encode(b"LPW\x01").decode()),
        event(sealed_content=(event().sealed_content or "")[:-8]),
        event(sealed_content=seal_content(b"[]", RING, inference_id="inf_1")),
    ],
)
def test_what_was_changed_or_belongs_elsewhere_is_refused(broken: InferenceCompleted) -> None:
    with pytest.raises(InvalidPayload):
        open_content(broken, RING)

"""What of a conversation leaves the router, by the task's setting."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from loopwright.contracts.inferences import InferenceCompleted
from loopwright.contracts.registry import INFERENCE_COMPLETED
from loopwright.sealed_content import open_content
from loopwright.sealing import KeyRing
from loopwright.testing.examples import an_event
from router_svc.adapters.content_seals import ContentSeals
from router_svc.domain.asking import Turn
from router_svc.domain.contents import Content
from router_svc.domain.snapshot import Task
from router_svc.handlers.concealing import Concealer

TALK = Content(
    user_input="Ada 010-1234-5678",
    turns=(Turn("system", "Be brief."), Turn("user", "Log: Ada 010-1234-5678\0")),
    answer="Mailed ada@example.com.",
)
RING = KeyRing("a", {"a": b"A" * 32})
PLAIN = Task(
    task_id="mood", version=1, title="", system="", user_template="{input}", response_format=None, store_content=True,
    defined_at=datetime.now(UTC),
)  # fmt: skip
MASKED = replace(PLAIN, mask_content=True)
SEALED = replace(PLAIN, seal_content=True)


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "keys.json"
    path.write_text('{"current": "a", "keys": {"a": "' + "QUFB" * 10 + 'QUE="}}')
    return path


def opened(sealed: str | None) -> InferenceCompleted:
    fields = {"inference_id": "inf_1", "input": None, "messages": None, "answer": None, "sealed_content": sealed}
    event = an_event(INFERENCE_COMPLETED, **fields)
    assert isinstance(event, InferenceCompleted)
    return open_content(event, RING)


def test_numbers_and_addresses_are_masked_in_every_part() -> None:
    left = Concealer(ContentSeals(None))(MASKED, TALK, "inf_1").content
    assert left is not None
    assert left.user_input == "Ada [전화번호]"
    assert [turn.text for turn in left.turns] == ["Be brief.", "Log: Ada [전화번호]\0"]
    assert left.answer == "Mailed [이메일]."


def test_nothing_said_is_nothing_masked() -> None:
    empty = Content(user_input=None, turns=(), answer="")
    assert Concealer(ContentSeals(None))(MASKED, empty, "inf_1").content == empty


def test_what_is_sealed_leaves_in_no_other_form_and_opens_for_its_inference(key_file: Path) -> None:
    concealed = Concealer(ContentSeals(key_file))(SEALED, TALK, "inf_1")
    assert concealed.content is None
    event = opened(concealed.sealed)
    assert (event.input, event.answer) == (TALK.user_input, TALK.answer)
    assert [turn.content for turn in event.messages or ()] == ["Be brief.", "Log: Ada 010-1234-5678\ufffd"]


def test_what_is_masked_and_sealed_is_masked_inside(key_file: Path) -> None:
    concealed = Concealer(ContentSeals(key_file))(replace(SEALED, mask_content=True), TALK, "inf_1")
    assert opened(concealed.sealed).input == "Ada [전화번호]"


def test_without_keys_what_should_be_sealed_does_not_leave_at_all(key_file: Path) -> None:
    vanished = ContentSeals(key_file)
    key_file.unlink()
    for seals in (ContentSeals(None), vanished):
        concealed = Concealer(seals)(SEALED, TALK, "inf_1")
        assert (concealed.content, concealed.sealed) == (None, None)

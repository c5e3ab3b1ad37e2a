"""/v1/embeddings: what an event keeps of it."""

import json

import msgspec
import pytest

from loopwright.errors import Invalid
from router_svc.domain.embeddings_api import read_embeddings, texts_of


@pytest.mark.parametrize(
    ("sent", "text"), [("one", "one"), (["one", "two"], "one\ntwo"), ([1, 2], None), ([[1], [2]], None)]
)
def test_texts_are_kept_and_token_ids_are_not(sent: object, text: str | None) -> None:
    assert texts_of({"input": msgspec.Raw(json.dumps(sent).encode())}) == text


@pytest.mark.parametrize("sent", [b"null", b"[]", b"3", b'["a", 3]', b"{}"])
def test_an_input_that_is_none_is_refused(sent: bytes) -> None:
    with pytest.raises(Invalid):
        texts_of({"input": msgspec.Raw(sent)})


def test_tokens_are_read_and_vectors_are_not() -> None:
    answer = read_embeddings(b'{"data":[{"embedding":[0.5,1e999999]}],"usage":{"prompt_tokens":4}}')
    assert (answer.prompt_tokens, answer.text) == (4, None)
    assert read_embeddings(b"\xff").prompt_tokens is None

"""What is read of vLLM's answer to `prompt_logprobs`."""

import json

import pytest
from pydantic import JsonValue

from registry_svc.adapters.router import Likelihood, _likelihood_in


def answer(prompt_logprobs: JsonValue) -> bytes:
    return json.dumps({"choices": [], "prompt_logprobs": prompt_logprobs}).encode()


def token(logprob: float) -> dict[str, JsonValue]:
    return {"42": {"logprob": logprob, "rank": 3, "decoded_token": " x"}}


class TestLikelihood:
    def test_sums_the_tokens_after_the_question(self):
        body = answer([None, token(-9.0), token(-0.5), token(-1.5)])
        assert _likelihood_in(body, after=2) == Likelihood(nats=2.0, tokens=2)

    @pytest.mark.parametrize(
        "body",
        [
            b"", b"[]", answer(None), answer([]), answer([None, token(-1.0)]), answer("x"),
            answer([None, token(-1), None]), answer([None, token(-1), token(-1) | {"7": {"logprob": -2}}]),
            answer([None, token(-1), {}]), answer([None, token(-1), {"42": {"rank": 1}}]),
            b'{"prompt_logprobs": [null, null, {"1": {"logprob": -Infinity}}]}',
        ],
    )  # fmt: skip
    def test_says_nothing_where_the_server_does_not(self, body: bytes):
        assert _likelihood_in(body, after=2) is None

"""An OpenAI-compatible endpoint as a hostile neighbour: away, busy, endless, wrong."""

import asyncio
import json
from collections import Counter

import httpx
import pytest
from pydantic import SecretStr

from dataset_svc.adapters.embeddings import EndpointEmbedder, HashingEmbedder
from dataset_svc.adapters.model_endpoint import EndpointRefused, EndpointSettings, ModelEndpoint
from dataset_svc.adapters.pair_writer import PairWriter
from dataset_svc.domain.texts.generated_pairs import Refusal, Template
from loopwright.errors import ServingUnavailable


def endpoint(*answers, **changes):
    """An endpoint that gives these answers one after the other, and the requests that it got."""
    asked: list[httpx.Request] = []
    waiting = list(answers)

    def answer(request):
        asked.append(request)
        one = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        if isinstance(one, Exception):
            raise one
        return one

    settings = EndpointSettings(base_url="http://model/v1/", model="m", first_delay_s=0, **changes)
    return ModelEndpoint(settings, transport=httpx.MockTransport(answer)), asked


def completion(content, reason="stop"):
    return httpx.Response(200, json={"choices": [{"message": {"content": content}, "finish_reason": reason}]})


async def write(model):
    return await PairWriter(model).write(Template.QA, "The pump runs at night.", headings=(), wanted=2)


class TestEndpoint:
    async def test_tries_again_while_it_is_busy_or_away(self):
        model, asked = endpoint(httpx.Response(429), httpx.ConnectError("gone"), httpx.Response(200, content=b"ok"))
        assert await model.post("x", {}) == b"ok"
        assert len(asked) == 3

    async def test_gives_up_after_its_attempts(self):
        model, asked = endpoint(httpx.Response(503), attempts=2)
        with pytest.raises(ServingUnavailable) as error:
            await model.post("x", {})
        assert (error.value.code, len(asked)) == ("model-endpoint.unavailable", 2)

    async def test_a_refusal_is_not_tried_again(self):
        model, asked = endpoint(httpx.Response(400, content=b"secret details"))
        with pytest.raises(EndpointRefused) as error:
            await model.post("x", {})
        assert len(asked) == 1
        assert "secret" not in str(error.value)

    async def test_an_answer_that_is_too_long_is_cut_off(self):
        model, _ = endpoint(httpx.Response(200, content=b"x" * 2000), max_answer_bytes=1000)
        with pytest.raises(EndpointRefused):
            await model.post("x", {})

    async def test_no_more_calls_at_once_than_allowed(self):
        running, most = 0, 0

        async def answer(_):
            nonlocal running, most
            running += 1
            most = max(most, running)
            await asyncio.sleep(0)
            running -= 1
            return httpx.Response(200, content=b"{}")

        settings = EndpointSettings(base_url="http://model/v1", model="m", at_once=2)
        model = ModelEndpoint(settings, transport=httpx.MockTransport(answer))
        await asyncio.gather(*(model.post("x", {}) for _ in range(9)))
        assert most == 2

    async def test_the_key_travels_as_bearer(self):
        model, asked = endpoint(httpx.Response(200, content=b"{}"), key=SecretStr("k"))
        await model.post("x", {})
        assert asked[0].headers["authorization"] == "Bearer k"
        assert str(asked[0].url) == "http://model/v1/x"


class TestPairWriter:
    async def test_asks_for_a_schema_and_reads_the_pairs(self):
        pair = {"question": "What runs?", "answer": "The pump runs."}
        model, asked = endpoint(completion(json.dumps({"pairs": [pair]})))
        parsed = await write(model)
        assert parsed.pairs[0].answer == "The pump runs."
        body = json.loads(asked[0].content)
        assert body["model"] == "m"
        assert body["response_format"]["json_schema"]["strict"] is True
        assert body["response_format"]["json_schema"]["schema"]["properties"]["pairs"]["maxItems"] == 2

    async def test_asks_without_a_limit_where_the_context_has_no_room_for_it(self):
        pair = {"question": "What runs?", "answer": "The pump runs."}
        model, asked = endpoint(httpx.Response(400), completion(json.dumps({"pairs": [pair]})))
        assert len((await write(model)).pairs) == 1
        assert ["max_tokens" in json.loads(request.content) for request in asked] == [True, False]

    async def test_asks_no_second_time_where_it_may_not_ask_at_all(self):
        model, asked = endpoint(httpx.Response(401))
        with pytest.raises(EndpointRefused):
            await write(model)
        assert len(asked) == 1

    @pytest.mark.parametrize(
        ("answer", "refusal"),
        [
            (completion('{"pairs": []}', "length"), Refusal.CUT_OFF),
            (completion(None), Refusal.EMPTY),
            (httpx.Response(200, json={"choices": []}), Refusal.EMPTY),
            (httpx.Response(200, content=b"<html>"), Refusal.NOT_JSON),
            (httpx.Response(200, json={"choices": [{"message": {"content": 5}}]}), Refusal.NOT_JSON),
        ],
    )
    async def test_anything_else_is_a_counted_refusal(self, answer, refusal):
        model, _ = endpoint(answer)
        assert (await write(model)).refused == Counter([refusal])


class TestEmbeddings:
    async def test_come_in_the_order_of_the_texts_and_as_unit_vectors(self):
        data = [{"index": 1, "embedding": [0.0, 2.0]}, {"index": 0, "embedding": [3.0, 4.0]}]
        model, _ = endpoint(httpx.Response(200, json={"data": data}))
        found = await EndpointEmbedder(model).embed(["a", "b"], [(), ()])
        assert found == [pytest.approx([0.6, 0.8]), pytest.approx([0.0, 1.0])]

    @pytest.mark.parametrize(
        "data",
        [
            [], [{"index": 0, "embedding": [1.0]}], [{"index": 0, "embedding": [1.0]}, {"index": 0, "embedding": [1.0]}],
            [{"index": 0, "embedding": [1.0]}, {"index": 1, "embedding": [1.0, 2.0]}],
            [{"index": 0, "embedding": [0.0]}, {"index": 1, "embedding": [1.0]}],
            [{"index": 0, "embedding": ["x"]}, {"index": 1, "embedding": [1.0]}],
            [{"index": 0, "embedding": [1e308] * 4}, {"index": 1, "embedding": [1.0] * 4}],
        ],
    )  # fmt: skip
    async def test_vectors_that_cannot_be_trusted_are_refused(self, data):
        model, _ = endpoint(httpx.Response(200, json={"data": data}))
        with pytest.raises(EndpointRefused):
            await EndpointEmbedder(model).embed(["a", "b"], [(), ()])

    async def test_hashing_needs_no_endpoint_and_says_what_it_is(self):
        assert HashingEmbedder().name == "hashing-256-v1"
        [vector] = await HashingEmbedder().embed(["pump"], [("pump",)])
        assert len(vector) == 256

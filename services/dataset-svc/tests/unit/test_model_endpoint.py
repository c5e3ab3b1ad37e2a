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


SOURCE = "The pump runs at night."
LONG = " ".join([SOURCE] * 60)


def scripted(answer):
    """An endpoint that answers by what it is asked, and the bodies that it got."""
    asked = []

    def handle(request):
        asked.append(json.loads(request.content))
        return answer(asked[-1])

    settings = EndpointSettings(base_url="http://model/v1/", model="m", first_delay_s=0)
    return ModelEndpoint(settings, transport=httpx.MockTransport(handle)), asked


def says(*pairs):
    return completion(json.dumps({"pairs": pairs}))


def pair(name):
    return {"question": f"What runs {name}?", "answer": "The pump runs."}


def most_pairs(body):
    return body["response_format"]["json_schema"]["schema"]["properties"]["pairs"]["maxItems"]


def longest_text(body):
    pairs = body["response_format"]["json_schema"]["schema"]["properties"]["pairs"]
    return pairs["items"]["properties"]["answer"].get("maxLength")


async def write(model):
    return await PairWriter(model).write(Template.QA, SOURCE, headings=(), wanted=2)


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

    async def test_asks_for_few_pairs_at_a_time_and_never_for_the_same_again(self):
        model, asked = scripted(lambda body: says(*(pair(f"{most_pairs(body)}-{n}") for n in range(most_pairs(body)))))
        parsed = await PairWriter(model).write(Template.QA, LONG, headings=(), wanted=6)
        assert ([most_pairs(body) for body in asked], len(parsed.pairs)) == ([4, 2], 6)
        assert "What runs 4-0?" in asked[1]["messages"][-1]["content"]

    async def test_a_small_context_is_asked_for_fewer_and_shorter_pairs_until_an_answer_has_room(self):
        """As vLLM answers: prompt and answer together must fit, and an answer that does not end is cut off."""

        def small(body):
            return says(pair(longest_text(body))) if body["max_tokens"] <= 400 else httpx.Response(400)

        model, asked = scripted(small)
        parsed = await PairWriter(model).write(Template.QA, LONG, headings=(), wanted=2)
        assert len(parsed.pairs) == 2
        assert +parsed.refused == Counter()
        assert {(most_pairs(body), longest_text(body)) for body in asked[-2:]} == {(1, 160)}

    async def test_an_answer_that_was_cut_off_is_asked_for_anew_and_smaller(self):
        model, asked = scripted(
            lambda body: completion('{"pairs": [{"quest', "length") if most_pairs(body) > 1 else says(pair("a"))
        )
        parsed = await PairWriter(model).write(Template.QA, LONG, headings=(), wanted=2)
        assert (len(parsed.pairs), [most_pairs(body) for body in asked]) == (2, [2, 1, 1])

    async def test_a_model_that_never_ends_is_given_up_and_counted_once(self):
        model, asked = scripted(lambda _: completion('{"pairs": [', "length"))
        parsed = await PairWriter(model).write(Template.QA, LONG, headings=(), wanted=4)
        assert (parsed.pairs, parsed.refused) == ((), Counter([Refusal.CUT_OFF]))
        assert len(asked) == 7

    async def test_an_endpoint_that_knows_no_lengths_of_texts_is_asked_without_from_then_on(self):
        model, asked = scripted(lambda body: httpx.Response(400) if longest_text(body) else says(pair("a")))
        writer = PairWriter(model)
        for _ in range(2):
            assert (await writer.write(Template.QA, LONG, headings=(), wanted=1)).pairs
        assert [longest_text(body) is None for body in asked] == [False, True, True]

    async def test_an_endpoint_that_refuses_everything_ends_in_an_error(self):
        model, asked = scripted(lambda _: httpx.Response(400))
        with pytest.raises(EndpointRefused):
            await write(model)
        assert "max_tokens" not in asked[-1]

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

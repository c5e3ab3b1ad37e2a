"""/analyze and /label: what is asked, what comes back, and what happens to a batch of which a part fails."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field

import httpx
import pytest
from fastapi import FastAPI

from loopwright.errors import NotFound, PlatformError, ServingUnavailable
from loopwright.problems import install_problem_handlers
from router_svc.adapters.callers import Guard, GuardRules
from router_svc.api.analyses import AnalysisDesk, analysis_routes
from router_svc.domain.callers import Caller
from router_svc.domain.keys import KeyEntry
from router_svc.handlers.analyzing import Told, Wish, ask_all

ANSWERS = {
    "log-sentiment": '{"sentiment":"negative"}',
    "log-anomaly": '{"anomaly_status":"alert"}',
    "log-summary": " The disk failed. ",
    "math-label": '{"대분류":"대수","중분류":"방정식","하위 분류":"이차방정식"}',
}


@dataclass
class Scripted:
    """Answers as it is told, and remembers what it was asked."""

    answer: Callable[[Wish], str | PlatformError] = lambda wish: ANSWERS[wish.task_id]
    asked: list[Wish] = field(default_factory=list)
    together: int = 0
    most_together: int = 0

    async def ask(self, wish: Wish) -> Told:
        self.asked.append(wish)
        number = len(self.asked)
        self.together += 1
        self.most_together = max(self.most_together, self.together)
        await asyncio.sleep(0)
        self.together -= 1
        wish.caller.leave(0)
        answer = self.answer(wish)
        if isinstance(answer, PlatformError):
            raise answer
        return Told(inference_id=f"inf_{number}", variant_id="base:1", text=answer)


async def post(path: str, body: object, asker: Scripted) -> httpx.Response:
    app = FastAPI(telemetry={"tracing": False})
    install_problem_handlers(app)
    app.state.guard = Guard(GuardRules(required=False), keys=None, verifier=None)
    app.include_router(analysis_routes(AnalysisDesk(asker=asker, at_once=4)))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://router") as client:
        return await client.post(path, content=json.dumps(body), headers={"content-type": "application/json"})


async def test_a_text_gets_all_three_findings_with_ids_to_rate_them_by() -> None:
    asker = Scripted()
    answer = await post("/analyze", {"text": "disk failed", "user": "ada"}, asker)
    [item] = answer.json()["items"]
    assert item["sentiment"]["answer"] == {"sentiment": "negative"}
    assert item["anomaly"]["answer"] == {"anomaly_status": "alert"}
    assert item["summary"]["answer"] == "The disk failed."
    assert len({item[kind]["inference_id"] for kind in ("sentiment", "anomaly", "summary")}) == 3
    assert {wish.unit for wish in asker.asked} == {"ada"}


async def test_texts_come_back_in_their_order_with_the_kinds_that_were_asked() -> None:
    asker = Scripted(lambda wish: json.dumps({"sentiment": wish.text}))
    answer = await post("/analyze", {"texts": ["a", "b", "c"], "kinds": ["sentiment"]}, asker)
    items = answer.json()["items"]
    assert [item["sentiment"]["answer"]["sentiment"] for item in items] == ["a", "b", "c"]
    assert [item["anomaly"] for item in items] == [None] * 3


async def test_no_more_is_asked_at_once_than_is_set() -> None:
    asker = Scripted()
    await post("/analyze", {"texts": ["a"] * 10}, asker)
    assert (len(asker.asked), asker.most_together) == (30, 4)


async def test_what_fails_says_why_and_leaves_the_rest_alone() -> None:
    away = NotFound("router.unknown-model", "The model `log-summary` does not exist")
    asker = Scripted(lambda wish: away if wish.task_id == "log-summary" else "no JSON")
    answer = await post("/analyze", {"text": "x"}, asker)
    [item] = answer.json()["items"]
    assert answer.status_code == 200
    assert item["summary"]["error"]["code"] == "router.unknown-model"
    assert item["anomaly"]["error"]["code"] == "router.answer-unreadable"
    assert item["anomaly"]["inference_id"] is not None


async def test_where_nobody_can_answer_the_whole_request_may_come_back() -> None:
    answer = await post(
        "/analyze", {"text": "x"}, Scripted(lambda _: ServingUnavailable("router.backend-failed", "no"))
    )
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")


async def test_a_problem_gets_its_three_labels_and_its_name_back() -> None:
    answer = await post("/label", {"problem_id": "p-1", "text": "x^2=4"}, Scripted())
    [item] = answer.json()["items"]
    assert item["problem_id"] == "p-1"
    assert item["labels"] == {"대분류": "대수", "중분류": "방정식", "하위 분류": "이차방정식"}


@pytest.mark.parametrize(
    "said",
    ["", "{}", '{"대분류":"대수","중분류":"방정식"}', '{"대분류":1,"중분류":"b","하위 분류":"c"}', "[]", "[" * 5000],
)
async def test_labels_that_are_not_all_there_are_an_error_that_can_be_rated(said: str) -> None:
    problems = [{"problem_id": "p-1", "text": "x"}, {"text": "y"}]
    answer = await post("/label", {"problems": problems}, Scripted(lambda _: said))
    assert [item["labels"] for item in answer.json()["items"]] == [None, None]
    assert all(item["inference_id"] for item in answer.json()["items"])


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/analyze", {}),
        ("/analyze", {"text": "a", "texts": ["b"]}),
        ("/analyze", {"texts": []}),
        ("/analyze", {"texts": ["a"] * 33}),
        ("/analyze", {"text": "a\0b"}),
        ("/analyze", {"text": "\ud800"}),
        ("/analyze", {"text": "a" * 20_001}),
        ("/analyze", {"text": "a", "kinds": ["colour"]}),
        ("/analyze", {"text": "a", "kinds": []}),
        ("/analyze", [1]),
        ("/label", {}),
        ("/label", {"problem_id": "p", "problems": [{"text": "x"}]}),
        ("/label", {"text": "x", "problem_id": "../p"}),
        ("/label", {"text": "x", "task": "chat"}),
    ],
)
async def test_what_cannot_be_asked_is_refused_with_a_problem(path: str, body: object) -> None:
    asker = Scripted()
    answer = await post(path, body, asker)
    assert (answer.status_code, answer.json()["code"]) == (422, "request.malformed")
    assert not asker.asked


async def test_a_key_pays_for_every_question_and_has_no_more_in_flight_than_it_may() -> None:
    key = KeyEntry(id="k", sha256="0" * 64, requests_per_min=2, concurrent=1)
    caller, asker = Caller("k", key=key), Scripted()
    wishes = [Wish(task_id="log-anomaly", text="x", unit="u", caller=caller)] * 3
    outcomes = await ask_all(asker, wishes, at_once=4)
    assert [getattr(one, "code", None) for one in outcomes] == [None, None, "router.rate-limited"]
    assert asker.most_together == 1

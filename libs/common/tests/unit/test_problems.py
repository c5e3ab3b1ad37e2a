"""Every error of the tree has one HTTP answer, and every answer is problem+json."""

import json
from collections.abc import Iterator
from http import HTTPStatus

import httpx
import pytest
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel

from loopwright.errors import (
    BrokerUnavailable,
    Conflict,
    ContractError,
    DependencyError,
    Expired,
    Invalid,
    InvalidPayload,
    NotAuthenticated,
    NotFound,
    NotPermitted,
    OutOfOrder,
    PlatformError,
    RateLimited,
    RuleRefused,
    ServingUnavailable,
    StoreUnavailable,
    TooLarge,
    TrackingUnavailable,
    UnknownEvent,
)
from loopwright.problems import ADMIN_PROBLEMS, MEDIA_TYPE, declared, install_problem_handlers, problem_of, status_of

STATUSES: dict[type[PlatformError], int] = {
    PlatformError: 500,
    RuleRefused: 409,
    NotFound: 404,
    Conflict: 409,
    NotPermitted: 403,
    NotAuthenticated: 401,
    Expired: 410,
    Invalid: 422,
    TooLarge: 413,
    RateLimited: 429,
    DependencyError: 503,
    StoreUnavailable: 503,
    BrokerUnavailable: 503,
    TrackingUnavailable: 503,
    ServingUnavailable: 503,
    ContractError: 422,
    UnknownEvent: 422,
    InvalidPayload: 422,
    OutOfOrder: 500,
}


def the_tree(root: type[PlatformError] = PlatformError) -> Iterator[type[PlatformError]]:
    yield root
    for kind in root.__subclasses__():
        yield from the_tree(kind)


def test_the_table_below_knows_the_whole_tree() -> None:
    ours = {kind for kind in the_tree() if kind.__module__ == "loopwright.errors"}
    assert ours == set(STATUSES)


@pytest.mark.parametrize(("kind", "status"), STATUSES.items(), ids=lambda value: getattr(value, "__name__", None))
def test_every_error_has_its_status(kind: type[PlatformError], status: int) -> None:
    assert status_of(kind("a.code", "a sentence")) == status


def test_a_problem_keeps_code_sentence_and_facts_and_names_no_status_itself() -> None:
    problem = problem_of(NotFound("dataset.version-not-found", "there is no version 3", version=3))

    assert problem.type == "urn:loopwright:problem:dataset.version-not-found"
    assert problem.code == "dataset.version-not-found"
    assert problem.title == "Not Found"
    assert problem.detail == "there is no version 3"
    assert problem.facts == {"version": 3}
    assert "404" not in str(NotFound("dataset.version-not-found", "there is no version 3"))


class Order(BaseModel):
    pieces: int


@pytest.fixture
def app() -> FastAPI:
    app = FastAPI(telemetry={"tracing": False})
    install_problem_handlers(app)

    @app.get("/raise/{name}")
    async def raise_error(name: str) -> None:
        kinds = {kind.__name__: kind for kind in STATUSES}
        raise kinds[name]("some.code", "what happened", size=7)

    @app.get("/teapot")
    async def teapot() -> None:
        raise HTTPException(418, "short and stout", headers={"X-Lid": "on"})

    @app.get("/bug")
    async def bug() -> None:
        raise ValueError("the password is swordfish")

    @app.post("/orders")
    async def order(order: Order) -> Order:
        return order

    @app.get("/orders")
    async def orders() -> list[Order]:
        return []

    @app.delete("/or{rest}")
    async def remove(rest: str) -> None:
        del rest

    return app


@pytest.fixture
def client(app: FastAPI) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://service")


class TestAnswers:
    @pytest.mark.parametrize("kind", [kind for kind in STATUSES if kind is not PlatformError], ids=lambda k: k.__name__)
    async def test_an_error_becomes_problem_json(self, client: httpx.AsyncClient, kind: type[PlatformError]) -> None:
        answer = await client.get(f"/raise/{kind.__name__}")

        assert answer.status_code == STATUSES[kind]
        assert answer.headers["content-type"] == MEDIA_TYPE
        body = answer.json()
        assert body["status"] == STATUSES[kind]
        assert body["code"] == "some.code"
        assert body["instance"] == f"/raise/{kind.__name__}"
        assert body["facts"] == {"size": 7}

    async def test_an_absent_dependency_says_when_to_come_back(self, client: httpx.AsyncClient) -> None:
        assert int((await client.get("/raise/StoreUnavailable")).headers["retry-after"]) > 0
        assert "retry-after" not in (await client.get("/raise/NotFound")).headers

    async def test_an_unauthenticated_answer_names_the_scheme(self, client: httpx.AsyncClient) -> None:
        assert (await client.get("/raise/NotAuthenticated")).headers["www-authenticate"].startswith("Bearer")

    async def test_a_bug_is_a_500_that_tells_nothing(self, client: httpx.AsyncClient) -> None:
        answer = await client.get("/bug")

        assert answer.status_code == 500
        assert answer.headers["content-type"] == MEDIA_TYPE
        assert answer.json()["code"] == "internal"
        assert "swordfish" not in answer.text

    async def test_an_unknown_path_is_a_problem(self, client: httpx.AsyncClient) -> None:
        answer = await client.get("/nowhere")

        assert (answer.status_code, answer.headers["content-type"]) == (404, MEDIA_TYPE)
        assert answer.json()["code"] == "request.not-found"

    async def test_a_wrong_method_is_a_problem_that_says_which_are_allowed(self, client: httpx.AsyncClient) -> None:
        answer = await client.put("/orders", json={})

        assert (answer.status_code, answer.headers["content-type"]) == (405, MEDIA_TYPE)
        assert answer.headers["allow"] == "GET, POST"

    async def test_headers_of_an_http_exception_are_kept(self, client: httpx.AsyncClient) -> None:
        answer = await client.get("/teapot")

        assert (answer.status_code, answer.headers["x-lid"]) == (418, "on")
        assert answer.json()["detail"] == "short and stout"

    @pytest.mark.parametrize(
        ("content", "place"),
        [(b'{"pieces": "many"}', "body.pieces"), (b"{}", "body.pieces"), (b'{"pieces": 1', "body"), (b"", "body")],
    )
    async def test_a_malformed_body_names_the_place(
        self, client: httpx.AsyncClient, content: bytes, place: str
    ) -> None:
        answer = await client.post("/orders", content=content, headers={"content-type": "application/json"})

        assert (answer.status_code, answer.headers["content-type"]) == (422, MEDIA_TYPE)
        assert answer.json()["code"] == "request.malformed"
        assert answer.json()["errors"][0]["place"].startswith(place)
        assert answer.json()["errors"][0]["detail"]


def test_routes_declare_problems_under_their_media_type() -> None:
    assert set(declared(HTTPStatus.GONE)[410]["content"]) == {MEDIA_TYPE}
    assert {401, 403, 404, 409, 422, 503} <= set(ADMIN_PROBLEMS)


def test_the_schema_of_problems_stands_by_itself() -> None:
    schema = json.dumps(declared(HTTPStatus.GONE))
    assert "$ref" not in schema
    assert "body.field.index" in schema

"""What registry-svc is asked for a rollback, and what its answers mean."""

from collections.abc import Iterator

import httpx
import pytest

from feedback_svc.adapters.registry import Registry
from loopwright.errors import Conflict, DependencyError, NotFound, NotPermitted, PlatformError

Answers = list[httpx.Response | Exception]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[list[httpx.Request], Answers]]:
    """Requests in order, and the answers that they get."""
    requests: list[httpx.Request] = []
    answers: Answers = []

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        one = answers.pop(0)
        if isinstance(one, Exception):
            raise one
        return one

    real = httpx.AsyncClient
    monkeypatch.setattr(httpx, "AsyncClient", lambda **given: real(**given, transport=httpx.MockTransport(answer)))
    yield requests, answers
    assert answers == []


def deployed(revision: int, champion: str) -> httpx.Response:
    return httpx.Response(200, json={"revision": revision, "champion": champion, "more": "than is needed"})


async def test_asks_on_the_revision_that_it_saw_and_in_the_persons_name(
    asked: tuple[list[httpx.Request], Answers],
) -> None:
    requests, answers = asked
    answers += [deployed(4, "mood:2"), deployed(5, "mood:1")]
    before, after = await Registry("http://registry/").roll_back("mood", reason="bad", authorization="Bearer t")
    assert (before.champion, after.champion) == ("mood:2", "mood:1")
    assert [(request.method, request.url.path) for request in requests] == [
        ("GET", "/api/v1/admin/deployments/mood"), ("POST", "/api/v1/admin/deployments/mood/rollback"),
    ]  # fmt: skip
    assert {request.headers["Authorization"] for request in requests} == {"Bearer t"}
    assert requests[1].content == b'{"revision":4,"reason":"bad"}'


@pytest.mark.parametrize(
    ("answer", "error", "code"),
    [
        (httpx.Response(404, json={"code": "deployment.not-found", "detail": "x"}), NotFound, "deployment.not-found"),
        (httpx.Response(409, json={"code": "deployment.changed", "detail": "x"}), Conflict, "deployment.changed"),
        (httpx.Response(403, json={"code": "auth.role-too-weak", "detail": "x"}), NotPermitted, "auth.role-too-weak"),
        (httpx.Response(418, text="<html>"), Conflict, "registry.refused"),
        (httpx.Response(503, text="later"), DependencyError, "registry.unavailable"),
        (httpx.Response(200, text="[]"), DependencyError, "registry.unreadable"),
        (httpx.ConnectError("refused"), DependencyError, "registry.unavailable"),
    ],
)
async def test_a_refusal_keeps_its_code_and_what_is_away_is_tried_later(
    asked: tuple[list[httpx.Request], Answers], answer: httpx.Response, error: type[PlatformError], code: str
) -> None:
    asked[1].append(answer)
    with pytest.raises(error) as refused:
        await Registry("http://registry").roll_back("mood", reason="bad", authorization="Bearer t")
    assert refused.value.code == code

"""The probe finds what is wrong with an app, and says what it never saw."""

from http import HTTPStatus
from pathlib import Path

import pytest
from fastapi import FastAPI, Response
from fastapi.responses import JSONResponse

from loopwright.errors import NotFound
from loopwright.problems import declared, install_problem_handlers
from loopwright.testing.openapi_probe import Probing, probe

pytestmark = pytest.mark.integration
PROBING = Probing(token="unused", known={"path.name": ["good"]}, examples=3)


def an_app() -> FastAPI:
    app = FastAPI(telemetry={"tracing": False})
    install_problem_handlers(app)

    @app.get("/things/{name}", responses=declared(HTTPStatus.NOT_FOUND))
    async def thing(name: str) -> dict[str, str]:
        if name != "good":
            raise NotFound("thing.not-found", "there is no such thing")
        return {"name": name}

    return app


async def test_an_app_that_does_as_it_says_passes(tmp_path: Path) -> None:
    report = await probe(an_app(), PROBING, tmp_path)
    assert (report.failures, report.never_asked, report.never_succeeded) == ("", frozenset(), frozenset())
    assert report.answers["GET", "/things/{name}"][200] > 0


async def test_an_app_that_does_not_is_found_out(tmp_path: Path) -> None:
    app = an_app()

    @app.get("/broken")
    async def broken(number: int) -> int:
        return 1 // number

    @app.get("/undocumented")
    async def undocumented() -> Response:
        return Response(status_code=418, media_type="application/problem+json", content=b'{"code": "teapot"}')

    @app.get("/plain", responses={409: {}})
    async def plain() -> Response:
        return JSONResponse({"oops": 1}, status_code=409)

    @app.get("/number")
    async def number() -> Response:
        return JSONResponse("none", media_type="text/csv")

    report = await probe(app, PROBING, tmp_path)
    for place in ("GET /broken", "GET /undocumented", "GET /plain", "GET /number"):
        assert f"_ {place} _" in report.failures
    for finding in ("Server error", "Undocumented status code", "errors_are_problems", "Undocumented Content-Type"):
        assert finding in report.failures
    assert report.never_succeeded == {("GET", "/undocumented"), ("GET", "/plain")}

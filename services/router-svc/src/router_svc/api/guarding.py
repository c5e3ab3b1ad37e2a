"""The guard in front of FastAPI's doors: who asks, and how often operators' routes are asked."""

import time
from collections.abc import AsyncGenerator
from http import HTTPStatus
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPBearer
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from loopwright.errors import RateLimited
from loopwright.problems import ADMIN_PROBLEMS, declared, problem_of, problem_response
from router_svc.adapters.callers import Guard
from router_svc.domain.callers import Caller

_key = HTTPBearer(auto_error=False, scheme_name="KeyOrToken", description="API key, or JWT with `sub`")
_OPERATORS = "/api/"
OPERATOR_PROBLEMS = ADMIN_PROBLEMS | declared(HTTPStatus.TOO_MANY_REQUESTS)


async def _identify(request: Request, _: Annotated[object, Depends(_key)]) -> Caller:
    guard: Guard = request.app.state.guard
    authorization = request.headers.get("authorization")
    address = guard.address_of(_peer(request.scope), request.headers.get("x-forwarded-for"))
    sent = None if authorization is None else authorization.encode("latin-1")
    return guard.identify(sent, address, now=time.time())


Identified = Annotated[Caller, Depends(_identify)]


async def _let_in(caller: Identified) -> AsyncGenerator[Caller]:
    """Counts a request in, and out when it is answered."""
    caller.enter(time.time())
    try:
        yield caller
    finally:
        caller.leave(time.time())


Admitted = Annotated[Caller, Depends(_let_in)]


class LimitOperators:
    """Bounds how often one address asks `/api/...`, before anything is read or checked."""

    def __init__(self, app: ASGIApp, guard: Guard) -> None:
        self._app = app
        self._guard = guard

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith(_OPERATORS):
            forwarded_for = Headers(scope=scope).get("x-forwarded-for")
            try:
                self._guard.admit_operator(self._guard.address_of(_peer(scope), forwarded_for), now=time.time())
            except RateLimited as error:
                await problem_response(Request(scope), problem_of(error))(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _peer(scope: Scope) -> str:
    client = scope.get("client")
    return str(client[0]) if client else "unknown"

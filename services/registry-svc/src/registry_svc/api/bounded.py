"""Routes whose bodies are counted while they arrive: what is too large is refused before it fills memory."""

from collections.abc import Callable, Coroutine
from http import HTTPStatus

from fastapi import HTTPException, Request, Response
from fastapi.routing import APIRoute
from starlette.types import Message

from registry_svc.api.doors import Doorway


class BoundedRoute(APIRoute):
    """A route that reads at most `Doorway.most_suite_bytes` and answers 413 to more."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[object, object, Response]]:
        handle = super().get_route_handler()

        async def bounded(request: Request) -> Response:
            doorway = request.app.state.doorway
            assert isinstance(doorway, Doorway), "main.py sets it"
            return await handle(_Counted(request, doorway.most_suite_bytes))

        return bounded


class _Counted(Request):
    def __init__(self, request: Request, most_bytes: int) -> None:
        super().__init__(request.scope, self._counted)
        self._inner = request
        self._left = most_bytes
        self._most_bytes = most_bytes

    async def _counted(self) -> Message:
        message = await self._inner.receive()
        self._left -= len(message.get("body", b""))
        if self._left < 0:
            detail = f"the body is larger than {self._most_bytes} bytes"
            raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail)
        return message

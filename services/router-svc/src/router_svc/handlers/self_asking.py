"""Asks a task from inside the router, along the very path of a client's request: same routing, limits and events."""

import asyncio
from http import HTTPStatus

import msgspec

from loopwright.errors import Invalid, PlatformError, ServingUnavailable
from router_svc.domain.endpoints import KINDS
from router_svc.domain.questions import Endpoint
from router_svc.handlers.analyzing import Told, Wish
from router_svc.handlers.answering import Answering, Ask

_VARIANT = b"x-loopwright-variant: "


class _WholeReply:
    """Keeps an answer until it is whole."""

    def __init__(self) -> None:
        self.told: asyncio.Future[tuple[int, bytes, bytes]] = asyncio.get_running_loop().create_future()
        self._head = (0, b"")
        self._pieces: list[bytes] = []

    def whole(self, status: int, headers: bytes, body: bytes) -> None:
        self._settle(status, headers, body)

    def start(self, status: int, headers: bytes) -> None:
        self._head = (status, headers)

    def write(self, chunk: bytes) -> None:
        self._pieces.append(chunk)

    def end(self, chunk: bytes) -> None:
        self._settle(*self._head, b"".join([*self._pieces, chunk]))

    def refuse(self, error: PlatformError) -> None:
        if not self.told.done():
            self.told.set_exception(error)

    def _settle(self, status: int, headers: bytes, body: bytes) -> None:
        if not self.told.done():
            self.told.set_result((status, headers, body))


class SelfAsking:
    """Asks by chat."""

    def __init__(self, answering: Answering) -> None:
        self._answering = answering

    async def ask(self, wish: Wish) -> Told:
        """A whole answer; whoever wished was counted in before, and is counted out.

        Raises:
            Invalid: the model's server refuses the question; it may be too long.
            PlatformError: nobody was asked, or nobody answered.
        """
        messages = [{"role": "user", "content": wish.text}]
        body = msgspec.json.encode({"model": wish.task_id, "messages": messages, "user": wish.unit})
        reply = _WholeReply()
        ask = Ask(Endpoint.CHAT, body, {}, wish.caller, reply)
        self._answering.arrive(ask)
        try:
            status, headers, content = await reply.told
        finally:
            ask.abandon()  # does nothing to one that has ended
        assert ask.exchange is not None
        if status != HTTPStatus.OK:
            raise Invalid("router.refused-by-server", f"the model's server refused the question ({status})")
        answer = KINDS[Endpoint.CHAT].read(content, False)
        if answer.text is None:
            raise ServingUnavailable("router.empty-answer", "the model said nothing")
        return Told(inference_id=ask.exchange.inference_id, variant_id=_variant(headers), text=answer.text)


def _variant(headers: bytes) -> str:
    return headers.partition(_VARIANT)[2].partition(b"\r\n")[0].decode()

# ruff: noqa: INP001 (beside a script)
"""A model server that can be killed: python replica.py PORT. Each of its answers says who gave it."""

import asyncio
import json
import sys

from aiohttp import web

_CHUNKS, _GAP_S, _WHOLE_S = 12, 0.02, 0.05


async def answer(request: web.Request) -> web.StreamResponse:
    asked = await request.json()
    name = f"replica-{request.app[_PORT]}"
    head = {"id": "from-the-replica", "created": 1, "model": asked["model"]}
    if not asked.get("stream"):
        await asyncio.sleep(_WHOLE_S)
        message = {"role": "assistant", "content": name}
        choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
        usage = {"prompt_tokens": 7, "completion_tokens": 1, "total_tokens": 8}
        return web.json_response(head | {"object": "chat.completion", "choices": choices, "usage": usage})
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    for number in range(_CHUNKS):
        end = "stop" if number == _CHUNKS - 1 else None
        choices = [{"index": 0, "delta": {"content": name}, "finish_reason": end}]
        await _put(response, json.dumps(head | {"object": "chat.completion.chunk", "choices": choices}))
        await asyncio.sleep(_GAP_S)
    await _put(response, "[DONE]")
    return response


async def _put(response: web.StreamResponse, event: str) -> None:
    await response.write(f"data: {event}\n\n".encode())


async def models(_: web.Request) -> web.Response:
    return web.json_response({"object": "list", "data": [{"id": "mock", "object": "model"}]})


_PORT = web.AppKey("port", int)


def main() -> None:
    app = web.Application()
    app[_PORT] = int(sys.argv[1])
    app.router.add_post("/v1/chat/completions", answer)
    app.router.add_get("/{any:.*}", models)
    web.run_app(app, host="127.0.0.1", port=app[_PORT], print=lambda *_: None, access_log=None)


if __name__ == "__main__":
    main()

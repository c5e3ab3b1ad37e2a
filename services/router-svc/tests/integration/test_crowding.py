"""Too many requests wait, or come back later; and a server that is silent for too long has company."""

import asyncio

import httpx
import pytest

from loopwright.testing.waiting import eventually

pytestmark = pytest.mark.integration

_FOR_EVER_S = 600


def asking(http: httpx.AsyncClient, model: str, text: str = "x") -> asyncio.Task[httpx.Response]:
    body = {"model": model, "messages": [{"role": "user", "content": text}]}
    return asyncio.create_task(http.post("/v1/chat/completions", json=body))


async def test_one_waits_for_the_one_that_is_answered_and_the_next_is_told_to_come_back(
    start_router, bootstrap, task, model_server
) -> None:
    router = await start_router(bootstrap, concurrency_limit=1, queue_limit=1, queue_timeout_s=_FOR_EVER_S)
    model_server.on("base", wait_s=_FOR_EVER_S)
    await task.define(model_server.url)
    await router.knows(task.task_id)
    async with router.http as http:
        http.timeout = httpx.Timeout(60)
        answered = asking(http, task.task_id)
        await eventually(lambda: asyncio.sleep(0, len(model_server.asked) == 1))
        done, waiting = await asyncio.wait(
            [asking(http, task.task_id) for _ in range(2)], return_when=asyncio.FIRST_COMPLETED
        )
        (refused,) = [one.result() for one in done]
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "router.overloaded")
        assert int(refused.headers["retry-after"]) > 0
        assert len(model_server.asked) == 1
        model_server.on("base")
        answered.cancel()  # a client that leaves makes room at once
        (served,) = await asyncio.gather(*waiting)
        assert served.status_code == 200


async def test_waiting_has_an_end(start_router, bootstrap, task, model_server) -> None:
    router = await start_router(bootstrap, concurrency_limit=1, queue_limit=8, queue_timeout_s=0.2)
    model_server.on("base", wait_s=_FOR_EVER_S)
    await task.define(model_server.url)
    await router.knows(task.task_id)
    async with router.http as http:
        answered = asking(http, task.task_id)
        await eventually(lambda: asyncio.sleep(0, len(model_server.asked) == 1))
        refused = await asking(http, task.task_id)
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "router.overloaded")
        assert len(model_server.asked) == 1
        answered.cancel()


async def test_the_quicker_of_two_servers_answers_and_the_other_is_left(
    start_router, bootstrap, task, model_server, start_model_server
) -> None:
    silent, quick = model_server, await start_model_server()
    router = await start_router(bootstrap, hedge_after_s=0.1)
    silent.on("base", wait_s=_FOR_EVER_S)
    await task.define(quick.url)
    await task.deploy([silent.url, quick.url], [])
    async with router.http as http:

        async def has_asked_the_silent_one() -> bool:
            answers = await asyncio.gather(*(asking(http, task.task_id, f"line {number}") for number in range(4)))
            assert {answer.status_code for answer in answers} <= {200, 404}  # 404: the task is not known yet
            return bool(silent.asked)

        await eventually(has_asked_the_silent_one)
    await eventually(lambda: asyncio.sleep(0, all(one.cancelled for one in silent.asked)))

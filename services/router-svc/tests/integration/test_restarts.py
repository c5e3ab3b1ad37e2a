"""Workers end, by order or by force, and whoever connects meanwhile is answered."""

import asyncio
import os
import signal
from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from loopwright.contracts.registry import INFERENCE_COMPLETED
from loopwright.testing.waiting import eventually

pytestmark = pytest.mark.integration

_PATIENCE_S = 60


def children(pid: int) -> list[int]:
    return [int(text) for text in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@asynccontextmanager
async def connecting_steadily(url: str, model: str) -> AsyncGenerator[Counter[str]]:
    """Asks over new connections only, in four loops, until the block ends; what became of the requests."""
    outcomes: Counter[str] = Counter()
    over = asyncio.Event()
    body = {"model": model, "messages": [{"role": "user", "content": "x"}]}

    async def ask_on(http: httpx.AsyncClient) -> None:
        while not over.is_set():
            try:
                answer = await http.post("/v1/chat/completions", json=body)
                outcomes[str(answer.status_code)] += 1
            except httpx.TransportError as error:
                outcomes[repr(error)] += 1

    none_kept = httpx.Limits(max_keepalive_connections=0)
    async with httpx.AsyncClient(base_url=url, timeout=_PATIENCE_S, limits=none_kept) as http:
        loops = [asyncio.create_task(ask_on(http)) for _ in range(4)]
        try:
            yield outcomes
        finally:
            over.set()
            await asyncio.gather(*loops)


async def _more_than(outcomes: Counter[str], count: int) -> None:
    await eventually(lambda: asyncio.sleep(0, outcomes.total() >= count))


async def _replaced(parent: int, gone: int) -> None:
    await eventually(lambda: asyncio.sleep(0, gone not in children(parent) and len(children(parent)) == 2))


async def _knows(url: str, model: str) -> bool:
    async with httpx.AsyncClient(base_url=url) as http:
        return (await http.get(f"/v1/models/{model}")).status_code == 200


async def test_no_new_connection_is_reset_or_refused_while_workers_are_restarted_and_killed(
    router_process, task, model_server
) -> None:
    await task.define(model_server.url)
    async with router_process(ROUTER_WORKERS="2") as (url, pid):
        await eventually(lambda: asyncio.sleep(0, len(children(pid)) == 2))
        await eventually(lambda: _knows(url, task.task_id))
        async with connecting_steadily(url, task.task_id) as outcomes:
            for worker in children(pid):
                os.kill(worker, signal.SIGTERM)
                await _replaced(pid, worker)
                await _more_than(outcomes, outcomes.total() + 50)
            ordered = dict(outcomes)
            # answers that were begun die with a killed worker: four loops have at most one each
            for worker in children(pid):
                os.kill(worker, signal.SIGKILL)
                await _replaced(pid, worker)
                await _more_than(outcomes, outcomes.total() + 50)
    assert ordered.keys() == {"200"}, ordered
    failed = outcomes.total() - outcomes["200"]
    assert failed <= 8, outcomes
    assert not any("ConnectError" in outcome for outcome in outcomes), outcomes


async def test_what_waits_at_a_stopped_worker_that_is_killed_is_answered_by_its_successor(
    router_process, task, model_server
) -> None:
    await task.define(model_server.url)
    async with router_process(ROUTER_WORKERS="2") as (url, pid):
        await eventually(lambda: asyncio.sleep(0, len(children(pid)) == 2))
        await eventually(lambda: _knows(url, task.task_id))
        workers = children(pid)
        for worker in workers:
            os.kill(worker, signal.SIGSTOP)
        async with connecting_steadily(url, task.task_id) as outcomes:
            await eventually(lambda: asyncio.sleep(0, _established(url) >= 4))
            for worker in workers:
                os.kill(worker, signal.SIGKILL)
            await _more_than(outcomes, 20)
    assert outcomes.keys() == {"200"}, outcomes


async def test_a_router_of_one_process_answers_whoever_reached_it_before_it_ends(
    router_process, task, model_server
) -> None:
    await task.define(model_server.url)
    async with router_process(ROUTER_DRAIN_S="0") as (url, pid):
        await eventually(lambda: _knows(url, task.task_id))
        os.kill(pid, signal.SIGSTOP)
        async with httpx.AsyncClient(base_url=url, timeout=_PATIENCE_S) as http:
            body = {"model": task.task_id, "messages": [{"role": "user", "content": "x"}]}
            asking = [asyncio.create_task(http.post("/v1/chat/completions", json=body)) for _ in range(20)]
            await eventually(lambda: asyncio.sleep(0, _established(url) >= 20))
            os.kill(pid, signal.SIGTERM)
            os.kill(pid, signal.SIGCONT)
            answers = await asyncio.gather(*asking)
    assert [answer.status_code for answer in answers] == [200] * 20


def _established(url: str) -> int:
    """Connections to the router (proc_pid_net(5): state 01)."""
    place = f"{int(url.rpartition(':')[2]):04X}"
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(line[1].endswith(f":{place}") and line[3] == "01" for line in lines)


async def test_the_figures_are_those_of_all_workers_and_outlive_them(router_process, task, model_server) -> None:
    await task.define(model_server.url)
    async with router_process(ROUTER_WORKERS="2") as (url, pid):
        await eventually(lambda: asyncio.sleep(0, len(children(pid)) == 2))
        await eventually(lambda: _knows(url, task.task_id))
        async with connecting_steadily(url, task.task_id) as outcomes:
            await _more_than(outcomes, 40)
        answered = outcomes["200"]
        assert answered == outcomes.total()
        await eventually(lambda: _counts(url, task.task_id, answered))
        killed = children(pid)[0]
        os.kill(killed, signal.SIGKILL)
        await _replaced(pid, killed)
        for _ in range(8):  # whichever worker is asked
            assert await _counts(url, task.task_id, answered)


async def _counts(url: str, task_id: str, answered: int) -> bool:
    """Whether the counter and the histogram both say that so many were answered."""
    async with httpx.AsyncClient(base_url=url, timeout=_PATIENCE_S) as http:
        text = (await http.get("/metrics")).text
    values: Counter[str] = Counter()
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.labels.get("task") == task_id:
                values[sample.name] += int(sample.value)
    names = ("loopwright_router_inferences_total", "loopwright_router_answer_seconds_count")
    return [values[name] for name in names] == [answered, answered]


async def test_a_dead_worker_is_replaced_and_a_stop_drains_the_others(router_process, log, task, model_server) -> None:
    model_server.on("base", words=tuple("abcde"), gap_s=0.3)
    await task.define(model_server.url)
    async with router_process(ROUTER_WORKERS="2") as (url, pid):
        await eventually(lambda: asyncio.sleep(0, len(children(pid)) == 2))
        first = children(pid)
        os.kill(first[0], signal.SIGKILL)
        await eventually(lambda: asyncio.sleep(0, _is_replaced(first, children(pid))))
        await eventually(lambda: _all_know(url, task.task_id))
        body = {"model": task.task_id, "messages": [{"role": "user", "content": "x"}], "stream": True}
        async with (
            httpx.AsyncClient(base_url=url, timeout=60) as http,
            http.stream("POST", "/v1/chat/completions", json=body) as response,
        ):
            pieces = response.aiter_bytes()
            text = await anext(pieces)
            os.kill(pid, signal.SIGTERM)
            text += b"".join([piece async for piece in pieces])
        assert text.count(b'"content": "') == 6
        assert text.endswith(b"data: [DONE]\n\n")
        await eventually(lambda: asyncio.sleep(0, not Path(f"/proc/{first[1]}").exists()))
    await log.events(INFERENCE_COMPLETED, task.task_id)


def _is_replaced(before: Sequence[int], now: Sequence[int]) -> bool:
    return len(now) == 2 and before[0] not in now and before[1] in now


async def _all_know(url: str, model: str) -> bool:
    """Asked over new connections, which the kernel deals out: each worker is ready."""
    for _ in range(8):
        async with httpx.AsyncClient(base_url=url) as http:
            try:
                if (await http.get(f"/v1/models/{model}")).status_code != 200:
                    return False
            except httpx.TransportError:
                return False
    return True

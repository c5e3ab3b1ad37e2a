"""Alerts: one for the same within an hour, told to webhooks until they hear it, seen and acknowledged by people."""

import asyncio
import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field

import httpx
import pytest_asyncio
import sqlalchemy as sa
from feedback_world import TASK, World, a_task, an_evaluation, an_inference, at
from pydantic import JsonValue, SecretStr
from upstream_world import Upstream, a_batch

from feedback_svc.adapters.webhooks import Webhook
from feedback_svc.domain.alerts import ATTEMPTS, CRITICAL_ANOMALY, signature_of
from feedback_svc.jobs.alerts import AlertPost
from feedback_svc.store.tables import alert_deliveries, alerts
from loopwright.contracts.base import JsonObject
from loopwright.contracts.records import AlertRaised
from loopwright.contracts.registry import ALERT_RAISED
from loopwright.testing.records import a_record
from loopwright.testing.tokens import TokenMint

SECRET = "sixteen-letters-or-more"
FOUND = json.dumps({"anomaly_status": "critical", "confidence": 0.95, "detected_issues": ["disk full"]})


@dataclass
class Receiver:
    """A webhook that answers as it is told, and keeps what it heard."""

    answers: list[int] = field(default_factory=list[int])
    heard: list[tuple[dict[str, str], bytes]] = field(default_factory=list[tuple[dict[str, str], bytes]])
    url: str = ""

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[1:-2]
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in head)}
        self.heard.append((headers, await reader.readexactly(int(headers["content-length"]))))
        status = self.answers.pop(0) if self.answers else 200
        writer.write(f"HTTP/1.1 {status} Said\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
        await writer.drain()
        writer.close()

    @property
    def webhook(self) -> Webhook:
        return Webhook(url=self.url, secret=SecretStr(SECRET))


@pytest_asyncio.fixture
async def receiver() -> AsyncGenerator[Receiver]:
    receiver = Receiver()
    server = await asyncio.start_server(receiver.answer, "127.0.0.1", 0)
    receiver.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
    async with server:
        yield receiver


async def now_due(world: World) -> None:
    """As if the delays before the next try had passed."""
    async with world.direct.engine.begin() as connection:
        waits = alert_deliveries.c.due_at.is_not(None)
        await connection.execute(
            alert_deliveries.update().where(waits).values(due_at=sa.func.now() - sa.text("interval '1 s'"))
        )


async def raised_now(world: World) -> None:
    async with world.direct.engine.begin() as connection:
        await connection.execute(alerts.update().values(raised_at=sa.func.now()))


async def test_the_same_within_an_hour_is_one_alert_with_a_count(world: World) -> None:
    await world.hand(
        a_task(), *(an_inference(number, answer=FOUND, completed_at=at(10 * number)) for number in range(3))
    )
    await world.hand(an_inference(9, answer=FOUND, completed_at=at(65)), an_inference(10, answer="fine"))
    rows = sorted(await world.table("alerts"), key=lambda row: row["raised_at"])
    assert [(row["kind"], row["occurrences"]) for row in rows] == [(CRITICAL_ANOMALY, 3), (CRITICAL_ANOMALY, 1)]
    announced = await world.announced(ALERT_RAISED)
    assert [one.alert_id for one in announced if isinstance(one, AlertRaised)] == [row["alert_id"] for row in rows]


async def test_a_batch_of_findings_is_counted_like_one_after_the_other(world: World) -> None:
    await world.hand(a_task())
    minutes = (0, 20, 59, 61, 70)
    batch = [an_inference(number, answer=FOUND, completed_at=at(minute)) for number, minute in enumerate(minutes)]
    await world.consume_together([a_record(event, offset=offset) for offset, event in enumerate(batch)])
    rows = sorted(await world.table("alerts"), key=lambda row: row["raised_at"])
    assert [row["occurrences"] for row in rows] == [3, 2]


async def test_candidates_that_fail_their_gate_are_an_alert(world: World) -> None:
    await world.hand(a_task(), an_evaluation(1, passed=False), an_evaluation(2, passed=False))
    (row,) = await world.table("alerts")
    assert (row["kind"], row["occurrences"]) == ("model.gate-failed", 2)


async def test_a_webhook_is_told_until_it_hears_and_can_check_who_speaks(world: World, receiver: Receiver) -> None:
    receiver.answers = [500, 302]
    post = AlertPost(world.work, [receiver.webhook], every_s=1)
    await world.hand(a_task(), an_inference(1, answer=FOUND))
    await raised_now(world)
    for _ in range(3):
        assert await post.deliver_next()
        assert not await post.deliver_next(), "not before its time"
        await now_due(world)
    assert not await post.deliver_next(), "told once"
    bodies = {body for _, body in receiver.heard}
    assert len(receiver.heard) == 3
    assert {json.loads(body)["kind"] for body in bodies} == {CRITICAL_ANOMALY}
    for headers, body in receiver.heard:
        signed = signature_of(SECRET, body, timestamp=int(headers["x-loopwright-timestamp"]))
        assert headers["x-loopwright-signature"] == f"v1={signed}"


async def test_a_webhook_that_never_hears_is_given_up_and_people_see_it(
    world: World, receiver: Receiver, api: httpx.AsyncClient, mint: TokenMint
) -> None:
    receiver.answers = [500] * 99
    post = AlertPost(world.work, [receiver.webhook], every_s=1)
    await world.hand(a_task(), an_inference(1, answer=FOUND))
    await raised_now(world)
    for _ in range(ATTEMPTS + 2):
        await post.deliver_next()
        await now_due(world)
    assert len(receiver.heard) == ATTEMPTS

    (alert,) = (await api.get("/api/v1/alerts", headers=mint.header("viewer"))).json()["items"]
    assert (alert["dead"], alert["delivered"], alert["waiting"], alert["acknowledged_by"]) == (1, 0, 0, None)
    path = f"/api/v1/alerts/{alert['alert_id']}/acknowledge"
    assert (await api.post(path, headers=mint.header("viewer"))).status_code == 403
    seen = (await api.post(path, headers=mint.header("engineer"))).json()
    assert seen["acknowledged_by"] is not None
    unseen = await api.get("/api/v1/alerts", params={"acknowledged": False}, headers=mint.header("viewer"))
    assert unseen.json()["items"] == []
    assert (await api.post("/api/v1/alerts/nobody/acknowledge", headers=mint.header("engineer"))).status_code == 404


async def test_a_batch_of_logs_with_critical_records_alerts_every_task_that_reads_such_logs(world: World) -> None:
    reading: list[JsonValue] = [{"source": "log-batches", "options": {"aspect": "anomaly", "types": ["syslog"]}}]
    other: list[JsonValue] = [{"source": "log-batches", "options": {"aspect": "summary"}}]
    await world.hand(a_task(sources=reading), a_task(task_id="summary", sources=other))
    grave: JsonObject = {"message": "panic", "expert_label": {"anomaly_status": "critical"}}
    calm: JsonObject = {"message": "ok", "expert_label": {"anomaly_status": "normal"}}
    batch = a_batch(grave, calm, grave)
    upstream = Upstream(world)
    await world.hand(batch, batch)
    await upstream.inspect()
    await world.hand(a_batch(calm), a_batch(grave, log_type="app"), a_batch(grave, minute=1))
    await upstream.inspect()

    rows = {row["task_id"]: row for row in await world.table("alerts")}
    assert {name: row["occurrences"] for name, row in rows.items()} == {TASK: 3, None: 1}
    assert {row["kind"] for row in rows.values()} == {"log.critical-anomaly"}
    assert len(await world.announced(ALERT_RAISED)) == 2
    assert "panic" not in rows[TASK]["detail"]

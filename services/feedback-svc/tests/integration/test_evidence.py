"""Evidence of incidents in files that stay as they were written, and what calls for training by itself."""

import hashlib
import json
from datetime import UTC, datetime, timedelta

import pytest
from feedback_world import TASK, World, a_rating, a_task, an_erasure, an_inference, at
from pydantic import JsonValue
from upstream_world import Upstream, an_answer, an_incident, sources

from feedback_svc.jobs.evidence import EvidenceTimer
from feedback_svc.jobs.monitoring import Monitor
from loopwright.contracts.base import Artifact, JsonObject
from loopwright.contracts.records import AlertRaised
from loopwright.contracts.registry import ALERT_RAISED
from loopwright.storage import Storage


def exported_every_minute(**more: JsonValue) -> list[JsonValue]:
    return [{"source": "incident-evidence", "export": {"cron": "* * * * *"}, **more}]


@pytest.fixture
def upstream(world: World) -> Upstream:
    return Upstream(world)


@pytest.fixture
def evidence(world: World) -> EvidenceTimer:
    return EvidenceTimer(world.work, world.storage, every_s=0.05)


async def read(world: World, row: JsonObject) -> list[JsonObject]:
    content = await world.storage.read_bytes(Artifact.model_validate(row["artifact"]))
    return [json.loads(line) for line in content.splitlines()]


class TestEvidence:
    async def test_successes_are_written_with_their_ids_count_size_and_hash(
        self, world: World, upstream: Upstream, evidence: EvidenceTimer
    ) -> None:
        before = datetime.now(UTC) - timedelta(minutes=5)
        await world.hand(a_task(sources=exported_every_minute(), defined_at=before.isoformat()))
        await world.hand(*an_incident("INC-1"), *an_incident("INC-2", result="failure"))
        await upstream.collect()
        await evidence.look()
        (row,) = await world.table("evidence_exports")
        assert (row["state"], row["count"]) == ("written", 1)
        assert row["source_ids"] == [f"incident.{name}/INC-1-{name}" for name in ("reasoned", "repaired", "verified")]
        (line,) = await read(world, dict(row))
        assert line["instruction"]
        assert line["input"] == "DiskFull\n\nINC-1: 99 %"
        assert str(line["output"]).endswith("1. rotate\n2. compress\n\n40 %")
        assert set(line["metadata"]) == {  # pyright: ignore[reportArgumentType]
            "incident", "alert_name", "result", "collected_at", "schema_version", "playbook",
        }  # fmt: skip
        content = await world.storage.read_bytes(Artifact.model_validate(row["artifact"]))
        assert row["artifact"]["sha256"] == hashlib.sha256(content).hexdigest()
        assert row["artifact"]["size_bytes"] == len(content)
        assert f"/incident-evidence/{row['due_at']:%Y%m%dT%H%M%SZ}/" in row["artifact"]["uri"]

    async def test_a_later_export_leaves_the_earlier_file_as_it_was(
        self, world: World, upstream: Upstream, evidence: EvidenceTimer
    ) -> None:
        early = datetime.now(UTC) - timedelta(minutes=10)
        await world.hand(a_task(sources=exported_every_minute(), defined_at=early.isoformat()), *an_incident("INC-1"))
        await upstream.collect()
        await evidence.look()
        await world.hand(*an_incident("INC-2"))
        await upstream.collect()
        await evidence.look()
        rows = sorted(await world.table("evidence_exports"), key=lambda row: row["due_at"])
        assert [row["count"] for row in rows] == [1, 2]
        assert [len(await read(world, dict(row))) for row in rows] == [1, 2]
        assert len({row["artifact"]["uri"] for row in rows}) == 2

    async def test_is_off_by_its_flag(self, world: World, upstream: Upstream, evidence: EvidenceTimer) -> None:
        early = datetime.now(UTC) - timedelta(minutes=10)
        declared = exported_every_minute(enabled=False)
        await world.hand(a_task(sources=declared, defined_at=early.isoformat()), *an_incident("INC-1"))
        await upstream.collect()
        await evidence.look()
        assert await world.table("evidence_exports") == []
        assert await world.table("samples") == []

    async def test_a_failure_is_recorded_and_tried_again(
        self, world: World, upstream: Upstream, evidence: EvidenceTimer, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        early = datetime.now(UTC) - timedelta(minutes=10)
        await world.hand(a_task(sources=exported_every_minute(), defined_at=early.isoformat()), *an_incident("INC-1"))
        await upstream.collect()
        blocked = tmp_path_factory.mktemp("blocked")
        (blocked / "evidence-exports").write_text("a file where a folder should be")
        await EvidenceTimer(world.work, Storage(blocked.as_uri()), every_s=0.05).look()
        (row,) = await world.table("evidence_exports")
        assert (row["state"], row["error"]) == ("failed", "object storage cannot be written")
        await evidence.look()
        (row,) = await world.table("evidence_exports")
        assert (row["state"], row["error"], row["count"]) == ("written", None, 1)

    async def test_an_erased_person_leaves_it_with_the_file(
        self, world: World, upstream: Upstream, evidence: EvidenceTimer
    ) -> None:
        early = datetime.now(UTC) - timedelta(minutes=10)
        await world.hand(a_task(sources=exported_every_minute(), defined_at=early.isoformat()))
        reasoned, *others = an_incident("INC-1")
        await world.hand(reasoned.model_copy(update={"unit_hash": "u1"}), *others)
        await upstream.collect()
        await evidence.look()
        await world.hand(an_erasure("u1"))
        (row,) = await world.table("evidence_exports")
        assert row["erased_at"] is not None
        (deletion,) = await world.table("export_deletions")
        assert deletion["uri"] == row["artifact"]["uri"]
        await upstream.collect()
        assert await world.table("samples") == []


async def ten_samples(world: World, upstream: Upstream) -> None:
    await world.hand(*(an_answer(f"k{number}") for number in range(10)))
    await upstream.collect()


class TestCalls:
    async def test_a_fall_of_quality_calls_for_training_and_for_a_person_once(
        self, world: World, upstream: Upstream
    ) -> None:
        retraining: JsonObject = {"quality_drop": {"reference": 20}, "min_new_samples": 500}
        await world.hand(a_task(retraining=retraining, sources=sources("knowledge-assistant")))
        ratings = [a_rating(n, 4 + n % 2, minute=n) for n in range(30)] + [
            a_rating(n, 1, minute=n) for n in range(30, 36)
        ]
        await world.hand(*ratings)
        await ten_samples(world, upstream)
        monitor = Monitor(world.work, every_s=60)
        await monitor.look()
        await monitor.look()
        (alert,) = await world.announced(ALERT_RAISED)
        assert isinstance(alert, AlertRaised)
        assert (alert.kind, alert.task_id) == ("quality-drop", TASK)
        assert "mean stars went from 4.50 to 1.00" in alert.detail
        assert await world.timer.look()
        (request,) = await world.table("dataset_requests")
        assert "10 new samples since the last request: mean stars went from 4.50 to 1.00" in request["reason"]
        (signal,) = await world.table("retraining_signals")
        assert signal["request_id"] == request["request_id"]
        await monitor.look()
        assert len(await world.announced(ALERT_RAISED)) == 1

    async def test_one_person_who_rates_much_in_a_day_is_no_fall(self, world: World) -> None:
        await world.hand(a_task(retraining={"quality_drop": {"reference": 20}}))
        await world.hand(*(a_rating(number, 4 + number % 2, minute=number) for number in range(30)))
        angry = [a_rating(number, 1, minute=number, rater_hash="angry") for number in range(30, 60)]
        await world.hand(*angry)
        await Monitor(world.work, every_s=60).look()
        assert await world.table("retraining_signals") == []

    async def test_other_inputs_than_before_the_last_request_call_for_training(
        self, world: World, upstream: Upstream
    ) -> None:
        retraining: JsonObject = {"drift": {"inputs": 50}, "min_new_samples": 10}
        await world.hand(a_task(retraining=retraining, sources=sources("knowledge-assistant")))
        await world.hand(*(an_inference(n, input=f"short {'abc'[n % 3]} line", completed_at=at(0)) for n in range(50)))
        await ten_samples(world, upstream)
        await world.timer.look()
        monitor = Monitor(world.work, every_s=60)
        await monitor.look()
        assert await world.table("retraining_signals") == []
        later = (datetime.now(UTC)).isoformat()
        words = "서버가 멈췄고 다시 켜지지 않습니다 " * 5
        await world.hand(*(an_inference(n, input=words, completed_at=later) for n in range(100, 150)))
        await monitor.look()
        (signal,) = await world.table("retraining_signals")
        assert signal["kind"] == "drift"
        assert "population stability index" in signal["detail"]

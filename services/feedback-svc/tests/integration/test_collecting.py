"""From records of upstream apps to samples: once, in any order, and never of somebody who was erased."""

import itertools
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from feedback_world import TASK, World, a_task, an_erasure, an_inference
from upstream_world import (
    LABELS,
    Upstream,
    a_batch,
    a_label,
    a_record,
    an_answer,
    an_incident,
    sources,
)

from feedback_svc.domain.sources.catalogue import SOURCES
from feedback_svc.domain.sources.source import Group, Outcome
from feedback_svc.store.tables import samples
from loopwright.contracts.base import JsonObject, Value
from loopwright.contracts.registry import DATASET_REQUESTED

EVERY = ("knowledge-assistant", "service-requests", "incident-evidence", "label-corrections")


@pytest.fixture
def upstream(world: World) -> Upstream:
    return Upstream(world)


async def test_four_sources_of_feedback_teach_and_an_export_says_where_from(world: World, upstream: Upstream) -> None:
    await world.hand(a_task(sources=sources(*EVERY), retraining={"min_new_samples": 4}))
    ticket: JsonObject = {
        "title": "VPN",
        "description": "끊깁니다",
        "resolution": "다시 설치함",
        "category": "네트워크",
    }
    await world.hand(an_answer(), a_record("service-desk.resolved", ticket, "t1"), *an_incident("INC-1"))
    await world.hand(a_label("수", "l1", by="anna", problem="1+1=?"))
    await upstream.collect()

    assert await upstream.samples() == {
        "k1": "answer k1", "t1": "다시 설치함", "INC-1": "Logs.\n\nclean-logs:\n1. rotate\n2. compress\n\n40 %",
        "p1": '{"대분류":"수","중분류":"덧셈","하위 분류":"한 자리"}',
    }  # fmt: skip
    await world.timer.look()
    assert await world.exporter.export_next()
    assert len(await world.announced(DATASET_REQUESTED)) == 1
    lines = {line["input"]: line for line in await world.exported_lines()}
    line = lines["DiskFull\n\nINC-1: 99 %"]
    assert (line["source"], line["inference_id"], line["rating_ids"], line["unit_hash"]) == ("upstream", None, [], None)
    messages = line["messages"]
    assert isinstance(messages, list)
    assert [message["role"] for message in messages if isinstance(message, dict)] == ["system", "user", "assistant"]
    metadata = line["metadata"]
    assert isinstance(metadata, dict)
    assert (metadata["incident"], metadata["playbook"], metadata["result"]) == ("INC-1", "clean-logs", "success")


async def test_each_task_learns_its_own_aspect_of_a_batch_of_logs(world: World, upstream: Upstream) -> None:
    for aspect in ("sentiment", "anomaly", "summary"):
        declared: JsonObject = {
            "source": "log-batches",
            "options": {"aspect": aspect},
            "collect": {"cron": "* * * * *"},
        }
        await world.hand(a_task(task_id=aspect, sources=[declared], defined_at="2026-11-21T00:00:00Z"))
    await world.hand(
        a_batch(
            {"message": "disk full", "expert_label": {"anomaly": True, "sentiment": "negative"}},
            {"message": "disk cleaned", "corrected_analysis": {"summary": "A disk was cleaned.", "anomaly": "normal"}},
            {"message": "hello"},
        )
    )
    await upstream.collect()
    assert set((await upstream.samples(task_id="sentiment")).values()) == {'{"sentiment":"negative"}'}
    assert set((await upstream.samples(task_id="summary")).values()) == {"A disk was cleaned."}
    assert set((await upstream.samples(task_id="anomaly")).values()) == {
        '{"anomaly_status":"alert"}', '{"anomaly_status":"normal"}',
    }  # fmt: skip
    counts = {run["task_id"]: run["counts"] for run in await world.table("collections")}
    assert counts["anomaly"]["filtered"] == {"unlabelled": 1}
    assert (counts["anomaly"]["seen"], counts["anomaly"]["used"]) == ({"syslog": 1}, {"syslog": 2})


class TestOnce:
    async def test_the_same_records_again_make_no_second_sample(self, world: World, upstream: Upstream) -> None:
        await world.hand(a_task(sources=sources("knowledge-assistant")))
        for _ in range(2):
            await world.hand(an_answer(), an_answer("k2", rating=2))
            await upstream.collect()
        assert await upstream.samples() == {"k1": "answer k1"}
        await world.hand(a_task(2, sources=sources("knowledge-assistant", min_rating=1)))  # reads everything anew
        await upstream.collect()
        assert await upstream.samples() == {"k1": "answer k1", "k2": "answer k2"}
        assert len(await world.table("samples")) == 2

    async def test_an_incident_teaches_once_in_whatever_order_its_records_come(
        self, world: World, upstream: Upstream
    ) -> None:
        await world.hand(a_task(sources=sources("incident-evidence")))
        for number, order in enumerate(itertools.permutations(range(3))):
            parts = an_incident(f"INC-{number}")
            for position in order:
                await world.hand(parts[position])
                if number % 2:
                    await upstream.collect()
        await upstream.collect()
        assert sorted(await upstream.samples()) == [f"INC-{number}" for number in range(6)]
        assert len(await world.table("samples")) == 6

    async def test_a_later_failure_takes_a_sample_back(self, world: World, upstream: Upstream) -> None:
        await world.hand(a_task(sources=sources("incident-evidence")), *an_incident("INC-1"))
        await upstream.collect()
        later = an_incident("INC-1", result="failure")[2].model_copy(update={"record_id": "again"})
        await world.hand(later)
        await upstream.collect()
        assert await upstream.samples() == {}
        assert await upstream.samples("withdrawn") != {}
        assert (await upstream.last_run())["counts"]["withdrawn"] == 1

    async def test_a_crash_in_the_middle_of_a_run_repeats_work_and_not_effects(
        self, world: World, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await world.hand(a_task(sources=sources("knowledge-assistant")))
        await world.hand(*(an_answer(f"k{number}") for number in range(120)))
        await upstream.inspect()
        await upstream.timer.look()
        assert await upstream.collector.collect_next()

        async def crash(*_: object, **__: object) -> None:
            raise SystemExit

        with monkeypatch.context() as patch:
            patch.setattr("feedback_svc.handlers.collecting.advance_run", crash)
            with pytest.raises(SystemExit):
                await upstream.collector.collect_next()
        while await upstream.collector.collect_next():
            pass
        assert len(await world.table("samples")) == 120
        run = await upstream.last_run()
        assert run["counts"]["formed"] == 120
        assert run["state"] == "succeeded"


class TestMisfits:
    async def test_are_kept_with_the_reason_and_disturb_nothing(self, world: World, upstream: Upstream) -> None:
        await world.hand(a_task(sources=sources("knowledge-assistant")))
        await world.hand(a_record("knowledge.rated", {"query": "q"}, "bad"), a_record("nobody.knows", {}, "odd"))
        await world.hand(an_answer())
        await upstream.collect()
        found = {row["record_id"]: (row["state"], row["reason"]) for row in await world.table("source_records")}
        assert found["k1"] == ("fits", None)
        assert found["bad"][0] == "refused"
        assert "answer: Field required" in found["bad"][1]
        assert found["odd"][0] == "unknown-kind"
        assert await upstream.samples() == {"k1": "answer k1"}
        counts = (await upstream.last_run())["counts"]
        assert counts["filtered"] == {"refused": 1}
        assert len(await world.table("upstream_records")) == 3

    async def test_a_better_version_of_a_misfit_teaches(self, world: World, upstream: Upstream) -> None:
        await world.hand(a_task(sources=sources("knowledge-assistant")))
        await world.hand(a_record("knowledge.rated", {"query": "q"}, "k1"))
        await upstream.collect()
        await world.hand(an_answer("k1"))
        await upstream.collect()
        assert await upstream.samples() == {"k1": "answer k1"}

    async def test_a_run_that_fails_is_recorded_and_lets_others_go_on(
        self, world: World, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def broken(group: Group, options: Value, now: datetime) -> Iterable[Outcome]:
            raise ZeroDivisionError

        source = replace(SOURCES["incident-evidence"], teach=broken)
        monkeypatch.setattr("feedback_svc.handlers.collecting.SOURCES", {**SOURCES, source.name: source})
        await world.hand(a_task(sources=sources("incident-evidence", "knowledge-assistant")))
        await world.hand(*an_incident("INC-1"), an_answer())
        await upstream.collect()
        runs = {run["source"]: run for run in await world.table("collections")}
        assert runs["incident-evidence"]["state"] == "failed"
        assert "ZeroDivisionError" in runs["incident-evidence"]["error"]
        assert await upstream.samples() == {"k1": "answer k1"}
        assert not await upstream.timer.look(), "a source that fails is left alone for a while"


class TestErasure:
    async def test_what_a_person_taught_goes_and_nothing_brings_it_back(self, world: World, upstream: Upstream) -> None:
        await world.hand(a_task(sources=sources("knowledge-assistant")))
        await world.hand(an_answer("k1", unit_hash="u1"), an_answer("k2", unit_hash="u2"))
        await upstream.collect()
        assert {row["unit_hash"] for row in await world.table("samples")} == {"u1", "u2"}
        await world.hand(an_erasure("u1"))
        assert await upstream.samples() == {"k2": "answer k2"}
        await world.hand(an_answer("k1", unit_hash="u1"), an_answer("k3", unit_hash="u1"))
        await upstream.collect()
        assert await upstream.samples() == {"k2": "answer k2"}
        states = {row["record_id"]: row["state"] for row in await world.table("source_records")}
        assert states == {"k1": "erased", "k2": "fits", "k3": "erased"}

    async def test_the_owner_of_an_inference_owns_what_was_corrected_in_it(
        self, world: World, upstream: Upstream
    ) -> None:
        await world.hand(a_task(sources=sources("label-corrections")), an_inference(1, input="4+4=?"))
        await world.hand(a_label("식", "l1", by="anna", inference_id="inf-1"))
        await upstream.collect()
        (sample,) = await world.table("samples")
        assert (sample["unit_hash"], sample["lesson"]["input"]) == ("unit-1", "4+4=?")
        await world.hand(an_erasure("unit-1"))
        assert await world.table("samples") == []

    async def test_what_several_persons_said_is_left_alone(self, world: World, upstream: Upstream) -> None:
        await world.hand(a_task(sources=sources("incident-evidence")))
        parts = an_incident("INC-1")
        await world.hand(*(part.model_copy(update={"unit_hash": f"u{n}"}) for n, part in enumerate(parts)))
        await upstream.collect()
        assert await upstream.samples() == {}
        assert (await upstream.last_run())["counts"]["filtered"] == {"several-persons": 1}


class TestLabels:
    async def test_raters_who_agree_with_others_are_believed(self, world: World, upstream: Upstream) -> None:
        await world.hand(a_task(sources=sources("label-corrections")))
        for number in range(5):  # anna and ben agree, carl never does
            for who, large in (("anna", "수"), ("ben", "수"), ("carl", "식")):
                label = a_label(large, f"{who}{number}", by=who, problem_id=f"q{number}", problem=f"{number}?")
                await world.hand(label)
        await world.hand(a_label("수", "a9", by="anna", problem="9?"), a_label("식", "c9", by="carl", problem="9?"))
        await upstream.collect()
        winners = await upstream.samples()
        assert '"대분류":"수"' in winners["p1"], "although carl spoke last"
        assert all('"대분류":"수"' in answer for answer in winners.values())

    async def test_a_new_winner_takes_the_place_of_an_exported_sample(self, world: World, upstream: Upstream) -> None:
        await world.hand(a_task(sources=sources("label-corrections"), retraining={"min_new_samples": 1}))
        await world.hand(a_record("label.problem", {"problem_id": "p1", "text": "1+1=?", "labels": LABELS}, "p1"))
        await upstream.collect()
        await world.timer.look()
        await world.exporter.export_next()
        for number, who in enumerate(("anna", "ben")):
            await world.hand(a_label("식", f"l{number}", by=who))
        await upstream.collect()
        await world.timer.look()
        await world.exporter.export_next()
        (line,) = await world.exported_lines()
        assert "식" in str(line["messages"])


async def test_what_was_rejected_stays_rejected_and_is_never_exported(world: World, upstream: Upstream) -> None:
    await world.hand(
        a_task(sources=sources("knowledge-assistant"), retraining={"min_new_samples": 1, "enabled": False})
    )
    await world.hand(an_answer("k1"), an_answer("k2"))
    await upstream.collect()
    async with world.direct.engine.begin() as connection:
        aside = sa.update(samples).where(samples.c.source_key == "k1").values(state="rejected")
        await connection.execute(aside)
    await world.hand(a_task(2, sources=sources("knowledge-assistant", min_rating=3), retraining={"min_new_samples": 1}))
    await upstream.collect()
    await world.timer.look()
    await world.exporter.export_next()
    assert [line["input"] for line in await world.exported_lines()] == ["question k2"]
    assert list(await upstream.samples("rejected")) == ["k1"]


async def test_a_source_with_a_schedule_waits_for_it(world: World, upstream: Upstream) -> None:
    hour = (datetime.now(UTC) + timedelta(hours=3)).hour
    declared: JsonObject = {"source": "knowledge-assistant", "collect": {"cron": f"0 {hour} * * *"}}
    await world.hand(a_task(sources=[declared]), an_answer())
    await upstream.collect()
    assert await world.table("collections") == []
    off: JsonObject = {"source": "knowledge-assistant", "enabled": False}
    await world.hand(a_task(2, sources=[off]))
    await upstream.collect()
    assert await world.table("collections") == []
    wrong: JsonObject = {"source": "no-such-source"}
    await world.hand(a_task(3, sources=[wrong, {"source": "knowledge-assistant"}]))
    await upstream.collect()
    assert await upstream.samples(task_id=TASK) == {"k1": "answer k1"}

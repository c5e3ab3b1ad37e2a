"""A person's words go from tables and storage, figures stay, and no event that comes late brings a word back."""

import itertools
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from feedback_world import BASE, TASK, World, a_rating, a_task, an_erasure, an_inference, rated

from loopwright.contracts.base import Artifact, Event, JsonObject
from loopwright.contracts.datasets import DatasetRequested
from loopwright.contracts.registry import DATASET_REJECTED, DATASET_REQUESTED, FEEDBACK_RECEIVED, LOG_RECEIVED
from loopwright.testing.examples import an_event
from loopwright.testing.tokens import TokenMint

SECRET = "비밀-word"
TABLES = ("inferences", "ratings", "samples", "upstream_records", "dataset_requests", "outbox")


def a_spoken_inference(number: int = 1) -> Event:
    """What unit 1 said is secret."""
    said = [{"role": "user", "content": SECRET}]
    return an_inference(number, input=SECRET, messages=said, answer=SECRET)


def a_spoken_rating(number: int = 1, **changes: object) -> Event:
    return a_rating(number, 5, comment=SECRET, correction=f"{SECRET} {number}", **changes)  # type: ignore[arg-type]


def a_record(name: str = "rec-1", *, hour: int = 9, **record: object) -> Event:
    return an_event(
        FEEDBACK_RECEIVED, record_id=name, record={"text": SECRET, **record}, received_at=f"2026-11-21T{hour:02}:00:00Z"
    )  # fmt: skip


async def places_of_words(world: World) -> set[str]:
    """Tables and objects that still hold a secret."""
    found = {name for name in TABLES for row in await world.table(name) if holds_secret(dict(row))}
    return found | kinds_of_objects_with_words(Path(urlsplit(world.storage_uri).path))


def kinds_of_objects_with_words(storage: Path) -> set[str]:
    return {path.parent.parent.name for path in storage.rglob("*.jsonl") if SECRET.encode() in path.read_bytes()}


def holds_secret(row: dict[str, object]) -> bool:
    return any(
        SECRET in str(value) or (isinstance(value, bytes) and SECRET.encode() in value) for value in row.values()
    )


async def taught(world: World, *, others: int = 1) -> DatasetRequested:
    """An announced export with a secret of unit 1 and samples of others."""
    await world.hand(a_task(retraining={"min_new_samples": 1 + others}))
    await world.hand(a_spoken_inference(), a_spoken_rating())
    for number in range(2, 2 + others):
        await world.hand(an_inference(number), a_rating(number, rating_id=f"r{number}"))
    assert await world.exporter.export_next()
    (event,) = await world.announced(DATASET_REQUESTED)
    assert isinstance(event, DatasetRequested)
    return event


class TestErasing:
    async def test_words_go_from_every_table_and_export_and_the_rows_say_so(self, world: World) -> None:
        event = await taught(world)
        await world.hand(a_record(unit_hash="unit-1"))
        assert await places_of_words(world) >= {"inferences", "ratings", "samples", "feedback-exports"}

        await world.hand(an_erasure(erasure_id="era-7"))
        while await world.erased_exports.delete_next():
            pass

        assert await places_of_words(world) == set()
        (row,) = await world.table("dataset_requests")
        assert row["erased_because"] == "held samples of a person whose data was erased (erasure era-7)"
        assert (row["state"], row["source"]["sha256"]) == ("announced", event.source.sha256)
        (deletion,) = await world.table("export_deletions")
        assert (deletion["uri"], deletion["erasure_id"]) == (event.source.uri, "era-7")
        assert deletion["deleted_at"] is not None
        assert [sample["unit_hash"] for sample in await world.table("samples")] == ["unit-2"]

    async def test_sealed_words_go_as_plain_ones_do_whether_they_came_before_or_after(self, world: World) -> None:
        await world.hand(an_inference(1, input=None, messages=None, answer=None, sealed_content=SECRET))
        assert await places_of_words(world) == {"inferences"}
        await world.hand(an_erasure())
        await world.hand(an_inference(2, unit_hash="unit-1", sealed_content=SECRET))
        assert await places_of_words(world) == set()

    async def test_figures_stay(self, world: World) -> None:
        experiment_id = await world.start_experiment()
        rating = rated(experiment_id, BASE, 1, 4).model_copy(update={"comment": SECRET})
        await world.hand(rating)
        before = await world.table("experiment_users")
        await world.hand(an_erasure(rating.unit_hash))

        assert await places_of_words(world) == set()
        (row,) = await world.table("ratings")
        assert (row["value"], row["counts"]) == (4, True)
        assert await world.table("experiment_users") == before
        # a second rating, counted into what the person said before: figures are right as if nothing had happened
        await world.hand(rated(experiment_id, BASE, 1, 2, turn=1).model_copy(update={"correction": SECRET}))
        (user,) = await world.table("experiment_users")
        assert (user["ratings"], user["total"]) == (2, 6)
        assert await places_of_words(world) == set()

    async def test_again_changes_nothing(self, world: World) -> None:
        await taught(world)
        await world.hand(an_erasure(erasure_id="first"))
        before = [await world.table(name) for name in (*TABLES, "erasures", "export_deletions")]
        await world.hand(an_erasure(erasure_id="second"))
        assert [await world.table(name) for name in (*TABLES, "erasures", "export_deletions")] == before

    async def test_a_correction_of_what_others_were_told_goes_and_theirs_teaches_again(self, world: World) -> None:
        await world.hand(a_task(), an_inference(2), a_rating(2, 5, rating_id="own"))
        await world.hand(a_spoken_rating(2, rater_hash="unit-1", minute=5))
        assert list(await world.ready_samples()) == [f"{SECRET} 2"]
        await world.hand(an_erasure())
        assert await world.ready_samples() == {"answer 2": tuple(sorted(await rating_ids(world)))}
        assert await places_of_words(world) == set()

    async def test_records_that_name_the_person_or_an_inference_of_theirs_go_and_no_others(self, world: World) -> None:
        other = {"message": "of somebody else", "unit_hash": "unit-2"}
        batch: list[JsonObject] = [{"message": SECRET, "deep": {"inference_id": "inf-1"}}, other]
        await world.hand(an_inference(), a_record(user={"unit_hash": "unit-1"}), a_record("rec-2", number=2))
        await world.hand(an_event(LOG_RECEIVED, count=2, data=batch))
        named = an_event(FEEDBACK_RECEIVED, record_id="rec-3", record={"text": SECRET}, unit_hash="unit-1")
        await world.hand(named, an_erasure())
        contents = {row["record_id"]: row["content"] for row in await world.table("upstream_records")}
        batched = next(content for content in contents.values() if isinstance(content, list))
        assert batched == [None, other]
        assert (contents["rec-1"], contents["rec-3"]) == (None, None)
        assert contents["rec-2"] == {"text": SECRET, "number": 2}
        (row,) = await world.table("erasures")
        assert row["records"] == 3


async def rating_ids(world: World) -> list[str]:
    return [row["rating_id"] for row in await world.table("ratings")]


class TestLateEvents:
    async def test_no_order_of_the_events_keeps_a_word(self, world: World) -> None:
        await world.hand(a_task(retraining={"min_new_samples": 1}))
        for number, order in enumerate(itertools.permutations(range(4)), start=1):
            story = [
                a_spoken_inference(number), a_spoken_rating(number), an_erasure(f"unit-{number}"),
                a_record(f"rec-{number}", inference_id=f"inf-{number}"),
            ]  # fmt: skip
            await world.hand(*(story[place] for place in order))
        while await world.exporter.export_next() or await world.erased_exports.delete_next():
            pass
        assert await places_of_words(world) == set()
        assert await world.table("samples") == []
        assert len(await world.table("ratings")) == 24
        assert await world.announced(DATASET_REQUESTED) == []
        assert {row["state"] for row in await world.table("dataset_requests")} <= {"withdrawn"}

    async def test_a_late_correction_of_what_others_were_told_teaches_nothing(self, world: World) -> None:
        await world.hand(a_task(), an_inference(2), an_erasure())
        await world.hand(a_spoken_rating(2, rater_hash="unit-1").model_copy(update={"value": None}))
        assert await world.ready_samples() == {}
        assert await places_of_words(world) == set()

    async def test_replayed_events_bring_nothing_back(self, world: World) -> None:
        await taught(world)
        replayed = [a_spoken_inference(), a_spoken_rating(), a_record(unit_hash="unit-1"), a_record(hour=20)]
        await world.hand(an_erasure(), *replayed, *replayed)
        while await world.erased_exports.delete_next():
            pass
        assert await places_of_words(world) == set()

    async def test_a_batch_may_name_any_number_of_people(self, world: World) -> None:
        crowd = [{"unit_hash": f"unit-{place}-{seat}"} for place in range(4) for seat in range(10_000)]
        batch = [{"m": SECRET, "people": crowd[first : first + 10_000]} for first in range(0, 40_000, 10_000)]
        await world.hand(an_erasure("unit-2-7"), an_event(LOG_RECEIVED, count=4, data=batch))
        (row,) = await world.table("upstream_records")
        assert [record is None for record in row["content"]] == [False, False, True, False]


class TestExports:
    async def test_an_erasure_between_reading_and_announcing_is_not_exported(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await world.hand(a_task(retraining={"min_new_samples": 2}))
        await world.hand(a_spoken_inference(), a_spoken_rating(), an_inference(2), a_rating(2))
        put = world.storage.put_bytes

        async def put_late(content: bytes, *, kind: str, suffix: str, media_type: str) -> Artifact:
            stored = await put(content, kind=kind, suffix=suffix, media_type=media_type)
            await world.hand(an_erasure())
            return stored

        with monkeypatch.context() as patch:
            patch.setattr(world.storage, "put_bytes", put_late)
            await world.exporter.export_next()
        assert await world.announced(DATASET_REQUESTED) == []
        while await world.exporter.export_next() or await world.erased_exports.delete_next():
            pass
        (event,) = await world.announced(DATASET_REQUESTED)
        assert isinstance(event, DatasetRequested)
        assert event.sample_count == 1
        assert [line["unit_hash"] for line in await world.exported_lines()] == ["unit-2"]
        assert await places_of_words(world) == set()

    async def test_the_erasure_of_somebody_else_leaves_an_export_as_it_is(self, world: World) -> None:
        event = await taught(world)
        await world.hand(an_erasure("unit-9"))
        assert not await world.erased_exports.delete_next()
        assert await world.storage.read_bytes(event.source)

    async def test_later_exports_leave_the_person_out(self, world: World) -> None:
        await taught(world)
        await world.hand(an_erasure())
        for number in (5, 6):
            await world.hand(an_inference(number), a_rating(number))
        assert await world.exporter.export_next()
        assert {line["unit_hash"] for line in await world.exported_lines()} == {"unit-2", "unit-5", "unit-6"}

    async def test_what_was_erased_before_it_was_built_is_asked_for_anew_once(self, world: World) -> None:
        first = await taught(world)
        rejected = an_event(DATASET_REJECTED, request_id=first.request_id, task_id=TASK, dataset_name=TASK)
        await world.hand(rejected)
        assert len(await world.table("dataset_requests")) == 1, "a rejection for another reason stands"
        await world.hand(an_erasure(), rejected, rejected)
        assert await world.exporter.export_next()
        _, second = await world.announced(DATASET_REQUESTED)
        assert isinstance(second, DatasetRequested)
        assert (second.sample_count, len(await world.table("dataset_requests"))) == (1, 2)
        assert f"the export of {first.request_id} was erased before a dataset was made of it" in second.reason


async def test_says_over_http_what_was_erased(world: World, api: httpx.AsyncClient, mint: TokenMint) -> None:
    await taught(world)
    url, viewer = "/api/v1/feedback/erasures/unit-1", mint.header("viewer")
    assert (await api.get(url, headers=viewer)).json()["code"] == "erasure.not-found"
    await world.hand(an_erasure(erasure_id="era-7"))
    shown = (await api.get(url, headers=viewer)).json()
    assert {name: shown[name] for name in ("inferences", "ratings", "samples", "exports", "exports_left")} == {
        "inferences": 1, "ratings": 1, "samples": 1, "exports": 1, "exports_left": 1,
    }  # fmt: skip
    await world.erased_exports.delete_next()
    assert (await api.get(url, headers=viewer)).json()["exports_left"] == 0
    (export,) = (await api.get("/api/v1/exports", headers=viewer)).json()["items"]
    assert "era-7" in export["erased_because"]

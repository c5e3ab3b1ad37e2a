"""From ratings to samples to a request for a dataset, in whatever order they come."""

import asyncio
import base64
import itertools
import json
from pathlib import Path

import pytest
from feedback_world import TASK, World, a_rating, a_task, an_inference

from feedback_svc.events import build_events
from feedback_svc.jobs.exports import Exporter
from loopwright.contracts.base import Event
from loopwright.contracts.datasets import DatasetRequested
from loopwright.contracts.inferences import Conversation
from loopwright.contracts.registry import DATASET_REQUESTED
from loopwright.errors import StoreUnavailable
from loopwright.sealed_content import seal_content
from loopwright.sealing import KeyFile
from loopwright.storage import Storage

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class TestSamples:
    @pytest.mark.parametrize("rating_first", [False, True])
    async def test_is_formed_as_soon_as_inference_and_rating_are_there(
        self, world: World, *, rating_first: bool
    ) -> None:
        pair: list[Event] = [an_inference(), a_rating(rating_id="r1")]
        await world.hand(a_task())
        await world.hand(pair[rating_first])
        assert await world.ready_samples() == {}
        await world.hand(pair[not rating_first])
        assert await world.ready_samples() == {"answer 1": ("r1",)}

    async def test_meets_even_if_both_are_handled_at_the_same_time(self, world: World) -> None:
        await world.hand(a_task())
        await asyncio.gather(
            *itertools.chain.from_iterable(
                (world.hand(an_inference(number)), world.hand(a_rating(number))) for number in range(20)
            )
        )
        assert len(await world.ready_samples()) == 20

    async def test_a_correction_teaches_what_should_have_been_said(self, world: World) -> None:
        await world.hand(a_task(), an_inference(), a_rating(1, 1, rating_id="r1", correction="better"))
        assert await world.ready_samples() == {"better": ("r1",)}

    async def test_a_later_worse_rating_of_the_same_rater_withdraws_the_sample(self, world: World) -> None:
        await world.hand(a_task(), an_inference(), a_rating(1, 5, minute=1), a_rating(1, 2, minute=2))
        assert await world.ready_samples() == {}
        (sample,) = await world.table("samples")
        assert sample["state"] == "withdrawn"

    async def test_a_worse_rating_that_is_older_and_comes_late_withdraws_nothing(self, world: World) -> None:
        await world.hand(a_task(), an_inference(), a_rating(1, 5, minute=2), a_rating(1, 2, minute=1))
        assert len(await world.ready_samples()) == 1

    async def test_the_same_rating_in_two_envelopes_counts_once(self, world: World) -> None:
        rating = a_rating(rating_id="r1")
        await world.hand(a_task(), an_inference(), rating, rating)
        assert len(await world.table("ratings")) == 1
        assert await world.ready_samples() == {"answer 1": ("r1",)}

    async def test_the_same_inference_in_two_envelopes_is_kept_once(self, world: World) -> None:
        await world.hand(an_inference(), an_inference(answer="another"))
        (row,) = await world.table("inferences")
        assert row["content"]["answer"] == "answer 1"

    async def test_forms_nothing_where_privacy_keeps_the_conversation_in_the_router(self, world: World) -> None:
        await world.hand(a_task(), an_inference(input=None, messages=None, answer=None), a_rating(correction="x"))
        assert await world.ready_samples() == {}

    async def test_a_sealed_conversation_teaches_where_the_key_file_is(self, world: World, tmp_path: Path) -> None:
        path = tmp_path / "keys.json"
        path.write_text(json.dumps({"current": "k1", "keys": {"k1": base64.b64encode(b"k" * 32).decode()}}))
        plain = an_inference()
        content = Conversation(input=plain.input, messages=plain.messages, answer=plain.answer)
        sealed = seal_content(content.model_dump_json().encode(), KeyFile(path).ring(), inference_id=plain.inference_id)
        nothing = {"input": None, "messages": None, "answer": None, "sealed_content": sealed}
        world.events = build_events(KeyFile(path))
        await world.hand(a_task(), plain.model_copy(update=nothing), a_rating(rating_id="r1"))
        assert await world.ready_samples() == {"answer 1": ("r1",)}

    async def test_an_answer_that_broke_off_is_not_learned_however_well_it_is_rated(self, world: World) -> None:
        await world.hand(a_task(), an_inference(1, http_status=502), a_rating(1, 5))
        assert await world.ready_samples() == {}
        await world.hand(a_rating(1, 1, minute=2, correction="whole"))
        assert list(await world.ready_samples()) == ["whole"]

    async def test_every_order_of_the_same_events_leaves_the_same_samples(self, world: World) -> None:
        def story(number: int) -> list[Event]:
            name = f"{number:03}"
            return [
                an_inference(number, answer="A"), a_rating(number, 5, minute=1, rating_id=f"r1-{name}"),
                a_rating(number, 1, minute=2, rating_id=f"r2-{name}", correction="B"),
                a_rating(number, 1, minute=3, rating_id=f"r3-{name}", rater_hash="somebody"),
            ]  # fmt: skip

        await world.hand(a_task())
        for number, order in enumerate(itertools.permutations(range(4))):
            events = story(number)
            await world.hand(*(events[position] for position in order))
        ready = [row for row in await world.table("samples") if row["state"] == "ready"]
        assert len(ready) == 24
        assert {row["lesson"]["answer"] for row in ready} == {"B"}
        assert all(row["rating_ids"] == [f"r2-{int(row['inference_id'][4:]):03}"] for row in ready)


async def teach(world: World, count: int, *, first: int = 1) -> None:
    for number in range(first, first + count):
        await world.hand(an_inference(number), a_rating(number, rating_id=f"r{number}"))


class TestRequests:
    async def test_asks_in_the_trace_of_the_rating_that_made_it_due(self, world: World) -> None:
        await world.hand(a_task(retraining={"min_new_samples": 3}))
        await teach(world, 2)
        await world.hand(an_inference(3))
        assert await world.table("dataset_requests") == []
        await world.hand_in_trace(a_rating(3, rating_id="r3"), TRACE)

        (request,) = await world.table("dataset_requests")
        assert (request["state"], request["new_samples"]) == ("pending", 3)
        assert request["traceparent"].split("-")[1] == TRACE.split("-")[1]

        assert await world.exporter.export_next()
        (event,) = await world.announced(DATASET_REQUESTED)
        assert isinstance(event, DatasetRequested)
        assert (event.sample_count, event.task_id, event.dataset_name) == (3, TASK, TASK)
        assert await world.traces(DATASET_REQUESTED) == [TRACE.split("-")[1]]

    async def test_writes_lines_as_dataset_svc_reads_them(self, world: World) -> None:
        await world.hand(a_task(retraining={"min_new_samples": 2}))
        await world.hand(an_inference(1), a_rating(1, 1, rating_id="r1", correction="better"))
        await world.hand(an_inference(2), a_rating(2, 5, rating_id="r2"))
        await world.exporter.export_next()

        lines = {line["inference_id"]: line for line in await world.exported_lines()}
        sample_id = lines["inf-1"].pop("sample_id")
        assert lines["inf-1"] == {
            "task_id": TASK, "input": "line 1",
            "messages": [
                {"role": "system", "content": "Judge."}, {"role": "user", "content": "Line: line 1"},
                {"role": "assistant", "content": "better"},
            ],
            "source": "correction", "inference_id": "inf-1", "rating_ids": ["r1"], "unit_hash": "unit-1",
            "weight_0_1": 1.0,
        }  # fmt: skip
        assert isinstance(sample_id, str)
        assert lines["inf-2"]["source"] == "rating"
        assert lines["inf-2"]["messages"][-1] == {"role": "assistant", "content": "answer 2"}
        (event,) = await world.announced(DATASET_REQUESTED)
        assert isinstance(event, DatasetRequested)
        content = await world.storage.read_bytes(event.source)  # checks the hash
        assert len(content.splitlines()) == event.sample_count

    async def test_asks_again_only_after_as_many_new_samples(self, world: World) -> None:
        await world.hand(a_task(retraining={"min_new_samples": 2}))
        await teach(world, 3)
        assert len(await world.table("dataset_requests")) == 1
        await teach(world, 1, first=4)
        assert len(await world.table("dataset_requests")) == 2

    async def test_an_export_holds_everything_that_was_learned_so_far(self, world: World) -> None:
        await world.hand(a_task(retraining={"min_new_samples": 2}))
        await teach(world, 4)
        while await world.exporter.export_next():
            pass
        first, second = await world.announced(DATASET_REQUESTED)
        assert isinstance(first, DatasetRequested)
        assert isinstance(second, DatasetRequested)
        assert (first.sample_count, second.sample_count) == (2, 4)
        assert {line["inference_id"] for line in await world.exported_lines()} == {f"inf-{n}" for n in range(1, 5)}

    async def test_an_exported_sample_is_not_withdrawn(self, world: World) -> None:
        await world.hand(a_task(retraining={"min_new_samples": 1}))
        await teach(world, 1)
        await world.hand(a_rating(1, 1, minute=5))
        await world.exporter.export_next()
        assert [line["inference_id"] for line in await world.exported_lines()] == ["inf-1"]

    async def test_a_correction_after_the_export_travels_with_the_next_one(self, world: World) -> None:
        await world.hand(a_task(retraining={"min_new_samples": 1}))
        await teach(world, 1)
        await world.hand(a_rating(1, 1, minute=5, correction="better"))
        while await world.exporter.export_next():
            pass
        answers = {line["messages"][-1]["content"] for line in await world.exported_lines()}
        assert answers == {"answer 1", "better"}

    async def test_waits_for_the_cool_down_and_then_asks_without_another_rating(self, world: World) -> None:
        await world.hand(a_task(retraining={"min_new_samples": 1, "cooldown_s": 1}))
        await teach(world, 2)
        assert len(await world.table("dataset_requests")) == 1
        assert not await world.timer.look()
        await asyncio.sleep(1.1)
        assert await world.timer.look()
        assert [row["number"] for row in await world.table("dataset_requests")] == [1, 2]
        assert not await world.timer.look()

    async def test_never_asks_when_the_policy_is_off(self, world: World) -> None:
        await world.hand(a_task(retraining={"min_new_samples": 1, "enabled": False}))
        await teach(world, 3)
        assert not await world.timer.look()
        assert await world.table("dataset_requests") == []

    async def test_two_consumers_at_the_limit_make_one_request(self, world: World) -> None:
        await world.hand(a_task(retraining={"min_new_samples": 10, "cooldown_s": 3600}))
        await world.hand(*(an_inference(number) for number in range(40)))
        await asyncio.gather(*(world.hand(a_rating(number)) for number in range(40)))
        await world.timer.look()
        requests = await world.table("dataset_requests")
        assert [row["number"] for row in requests] == [1]


class TestExport:
    async def test_two_replicas_announce_a_request_once(self, world: World) -> None:
        await world.hand(a_task(retraining={"min_new_samples": 2}))
        await teach(world, 2)
        other = Exporter(world.work, Storage(world.storage_uri), poll_s=0.05)
        await asyncio.gather(*(exporter.export_next() for exporter in (world.exporter, other, world.exporter)))
        assert len(await world.announced(DATASET_REQUESTED)) == 1

    async def test_a_crash_after_writing_repeats_the_work_and_not_the_effect(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await world.hand(a_task(retraining={"min_new_samples": 2}))
        await teach(world, 2)

        async def crash(*_: object, **__: object) -> None:
            raise SystemError("power failure")

        with monkeypatch.context() as patch:
            patch.setattr("feedback_svc.jobs.exports.finish_export", crash)
            with pytest.raises(SystemError):
                await world.exporter.export_next()
        assert await world.announced(DATASET_REQUESTED) == []

        assert await world.exporter.export_next()
        assert not await world.exporter.export_next()
        (event,) = await world.announced(DATASET_REQUESTED)
        assert isinstance(event, DatasetRequested)
        assert event.source.sha256 in event.source.uri

    async def test_storage_that_is_away_leaves_the_request_pending(
        self, world: World, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        await world.hand(a_task(retraining={"min_new_samples": 1}))
        await teach(world, 1)
        blocked = tmp_path_factory.mktemp("blocked")
        (blocked / "feedback-exports").write_text("a file where a folder should be")
        exporter = Exporter(world.work, Storage(blocked.as_uri()), poll_s=0.05)
        with pytest.raises(StoreUnavailable):
            await exporter.export_next()
        assert [row["state"] for row in await world.table("dataset_requests")] == ["pending"]
        assert await world.exporter.export_next()
        assert len(await world.announced(DATASET_REQUESTED)) == 1

"""The whole service as a process on real Kafka: one turn of its part of the loop, and a power failure in the middle."""

import random
from collections import defaultdict
from collections.abc import Callable, Iterable

import httpx
import pytest
import sqlalchemy as sa
from aiokafka import AIOKafkaProducer
from feedback_world import (
    BASE,
    CANDIDATE,
    TASK,
    World,
    a_deployment,
    a_rating,
    a_task,
    an_erasure,
    an_evaluation,
    an_inference,
    rated,
)
from service_process import ServiceProcess, first_event, publish, read_all, read_events

from loopwright.contracts.base import Event
from loopwright.contracts.datasets import DatasetRequested
from loopwright.contracts.envelope import seal
from loopwright.contracts.experiments import ExperimentChanged, ExperimentConcluded, ExperimentState, Outcome
from loopwright.contracts.inferences import InferenceRated
from loopwright.contracts.registry import (
    DATASET_REQUESTED,
    EXPERIMENT_CHANGED,
    EXPERIMENT_CONCLUDED,
    INFERENCE_RATED,
    topic_of,
)
from loopwright.errors import StoreUnavailable
from loopwright.testing.records import a_raw_record, a_record
from loopwright.testing.tokens import TokenMint
from loopwright.testing.waiting import eventually

pytestmark = pytest.mark.timeout(600)
_TURNS = 3  # answers of a unit
TRACE = "00-{:032x}-b7ad6b7169203331-01"


async def send(
    producer: AIOKafkaProducer, events: Iterable[Event], *, trace: str | None = None, copies: int = 1
) -> None:
    """Publishes events, each `copies` times under the same event id, as a relay does that crashed meanwhile."""
    for event in events:
        topic = topic_of(event)
        envelope = seal(topic, source=topic.producers[0], cause=None, traceparent=trace)
        await publish(producer, *[a_record(event, envelope=envelope)] * copies)


async def send_at_once(producer: AIOKafkaProducer, events: Iterable[Event], *, copies: Callable[[], int]) -> None:
    """Publishes many events in batches, some more than once under the same event id."""
    records = [record for event in events for record in [a_record(event)] * copies()]
    await publish(producer, *records)


async def test_turns_its_part_of_the_loop_over_kafka(
    world: World, process: ServiceProcess, producer: AIOKafkaProducer, kafka_bootstrap: str, mint: TokenMint
) -> None:
    trace = TRACE.format(random.getrandbits(128))
    await process.start()
    await send(producer, [a_task(retraining={"min_new_samples": 3, "cooldown_s": 3600})])
    await eventually(lambda: world.table("tasks"), timeout_s=60)

    # ratings before their inferences, everything twice, one of them unreadable
    await send(producer, [a_rating(1, rating_id="r1"), a_rating(2, rating_id="r2")], copies=2)
    await publish(producer, a_raw_record(INFERENCE_RATED, b"not json", headers=[("ce_id", b"poison-feedback-svc"), (
        "ce_type", INFERENCE_RATED.event_type.encode())], key=b"inf-1"))  # fmt: skip
    await send(producer, [an_inference(1), an_inference(2)], copies=2)
    await eventually(lambda: two_samples(world), timeout_s=60)
    await send(producer, [a_rating(3, 1, rating_id="r3", correction="better")], trace=trace, copies=2)
    await eventually(lambda: three_ratings(world), timeout_s=60)
    await send(producer, [an_inference(3)], copies=2)  # it completes the sample, in the trace of the rating before it

    asked = await request_ids(world)
    requested = await first_event(
        kafka_bootstrap, DATASET_REQUESTED, lambda event: getattr(event, "request_id", None) in asked
    )
    assert isinstance(requested.event, DatasetRequested)
    assert requested.event.sample_count == 3
    assert requested.envelope.traceparent is not None
    assert requested.envelope.traceparent.split("-")[1] == trace.split("-")[1]
    answers = {line["inference_id"]: line["messages"][-1]["content"] for line in await world.exported_lines()}
    assert answers == {"inf-1": "answer 1", "inf-2": "answer 2", "inf-3": "better"}

    await send(producer, [a_deployment(1, BASE, CANDIDATE, minute=-1)])
    await send(producer, [an_evaluation()], trace=trace, copies=2)
    experiments = await eventually(lambda: world.table("experiments"), timeout_s=60)
    experiment_id = experiments[0]["experiment_id"]
    for unit in range(10):
        await send(
            producer,
            [rated(experiment_id, BASE, unit, 1 + unit % 2), rated(experiment_id, CANDIDATE, unit, 4 + unit % 2)],
            copies=2,
        )
    concluded = await first_event(
        kafka_bootstrap, EXPERIMENT_CONCLUDED, lambda event: getattr(event, "experiment_id", None) == experiment_id
    )
    assert isinstance(concluded.event, ExperimentConcluded)
    assert (concluded.event.outcome, concluded.event.winner_variant_id) == (Outcome.PROMOTE, CANDIDATE)
    assert concluded.envelope.traceparent is not None
    assert concluded.envelope.traceparent.split("-")[1] == trace.split("-")[1]

    await once_each(kafka_bootstrap, experiment_id, requested.event.request_id)
    letters = await read_all(kafka_bootstrap, INFERENCE_RATED.dead_letter_name)
    mine = [dict(letter.headers) for letter in letters if dict(letter.headers).get("ce_id") == b"poison-feedback-svc"]
    assert [letter["dlq_code"] for letter in mine] == [b"event.invalid-payload"]
    await reads_over_http(process, mint, experiment_id)


async def test_an_erasure_over_kafka_takes_words_and_exports_and_late_events_bring_none_back(
    world: World, process: ServiceProcess, producer: AIOKafkaProducer, kafka_bootstrap: str
) -> None:
    await process.start()
    await send(producer, [a_task(retraining={"min_new_samples": 1})])
    await eventually(lambda: world.table("tasks"), timeout_s=60)
    unit = f"gone-{random.getrandbits(64):x}"  # the broker and its topics serve other tests as well
    said = an_inference(1, inference_id=f"inf-{unit}", unit_hash=unit)
    rating = a_rating(1, inference_id=said.inference_id, unit_hash=unit, rater_hash=unit, correction="words")
    await send(producer, [said, rating])
    asked = await request_ids(world)
    requested = await first_event(
        kafka_bootstrap, DATASET_REQUESTED, lambda event: getattr(event, "request_id", None) in asked
    )

    await send(producer, [an_erasure(unit)], copies=2)
    deletions = await eventually(lambda: deleted_exports(world), timeout_s=60)
    assert isinstance(requested.event, DatasetRequested)
    source = requested.event.source
    assert [row["uri"] for row in deletions] == [source.uri]
    late = an_inference(2, inference_id=f"late-{unit}", unit_hash=unit)
    await send(producer, [said, rating, late, rating.model_copy(update={"rating_id": "again", "comment": "words"})])
    await eventually(lambda: count(world, "ratings", at_least=2), timeout_s=60)
    await eventually(lambda: count(world, "inferences", at_least=2), timeout_s=60)

    assert {row["content"] for row in await world.table("inferences")} == {None}
    assert {row["remarks"] for row in await world.table("ratings")} == {None}
    assert await world.table("samples") == []
    with pytest.raises(StoreUnavailable):
        await world.storage.read_bytes(source)


async def deleted_exports(world: World) -> list[sa.RowMapping]:
    return [row for row in await world.table("export_deletions") if row["deleted_at"] is not None]


async def two_samples(world: World) -> bool:
    return len(await world.ready_samples()) == 2


async def three_ratings(world: World) -> bool:
    return len(await world.table("ratings")) == 3


async def request_ids(world: World) -> set[str]:
    rows = await eventually(lambda: world.table("dataset_requests"), timeout_s=60)
    return {row["request_id"] for row in rows}


async def once_each(bootstrap: str, experiment_id: str, request_id: str) -> None:
    """Nothing was said twice although everything was heard twice."""

    def mine(event: Event) -> bool:
        return getattr(event, "experiment_id", None) == experiment_id or getattr(event, "request_id", "") == request_id

    changes = [received.event for received in await read_events(bootstrap, EXPERIMENT_CHANGED, mine)]
    states = [change.state for change in changes if isinstance(change, ExperimentChanged)]
    assert states == [ExperimentState.RUNNING, ExperimentState.ENDED]
    assert len(await read_events(bootstrap, EXPERIMENT_CONCLUDED, mine)) == 1
    assert len(await read_events(bootstrap, DATASET_REQUESTED, mine)) == 1


async def reads_over_http(process: ServiceProcess, mint: TokenMint, experiment_id: str) -> None:
    async with httpx.AsyncClient(base_url=process.url, headers=mint.header("viewer"), timeout=30) as client:
        shown = (await client.get(f"/api/v1/admin/ab-tests/{experiment_id}")).json()
        assert (shown["verdict"], shown["winner_variant_id"]) == ("promote", CANDIDATE)
        assert shown["results"]["comparisons"][0]["interval"]["lower"] > 0
        status = (await client.get("/api/v1/learn/status", params={"task_id": TASK})).json()
        assert (status["last_run"]["sample_count"], status["new_samples"]) == (3, 0)
        rating = (await client.get("/api/v1/feedback/ratings/r3")).json()
        assert rating["correction"] == "better"
        metrics = (await client.get("/metrics")).text
        assert 'loopwright_events_handled_total{outcome="duplicate",topic="inference.rated"}' in metrics
    async with httpx.AsyncClient(base_url=process.url) as stranger:
        assert (await stranger.get("/api/v1/admin/ab-tests")).status_code == 401


class TestPowerFailure:
    async def test_counts_are_exact_after_kill_minus_nine_while_it_takes_signals_in_at_full_rate(
        self, world: World, process: ServiceProcess, producer: AIOKafkaProducer
    ) -> None:
        await process.start()
        rollout = {"min_users_per_arm": 5000, "max_users": 100_000}
        await send(producer, [a_task(rollout=rollout, retraining={"min_new_samples": 400}), an_evaluation()])
        experiment_id = (await eventually(lambda: world.table("experiments"), timeout_s=60))[0]["experiment_id"]

        process.kill()
        chance = random.Random(6)
        stream = a_stream(experiment_id, seed=5)
        await send_at_once(producer, stream, copies=lambda: chance.choice((1, 1, 2)))

        ratings = [event for event in stream if isinstance(event, InferenceRated)]
        for share in (0.1, 0.4):
            await process.start()
            await eventually(
                lambda share=share: count(world, "ratings", at_least=share * len(ratings)), timeout_s=120, every_s=0.01
            )
            process.kill()
            assert not await count(world, "ratings", at_least=len(ratings)), "the failure came too late to be one"
        await process.start()

        await eventually(lambda: count(world, "ratings", at_least=len(ratings)), timeout_s=120)
        await eventually(lambda: count(world, "inferences", at_least=len(stream) - len(ratings)), timeout_s=120)
        await eventually(lambda: nothing_pending(world), timeout_s=60)
        await exact(world, ratings, inferences=len(stream) - len(ratings))


def a_stream(experiment_id: str, *, seed: int) -> list[Event]:
    """Inferences of 1,600 units in two arms with their ratings, some rated again, in a random order."""
    chance = random.Random(seed)
    stream: list[Event] = []
    for unit in range(800):
        for variant in (BASE, CANDIDATE):
            for turn in range(_TURNS):
                rating = rated(experiment_id, variant, unit, chance.randint(1, 5), turn=turn)
                stream.append(rating)
                stream.append(
                    an_inference(
                        1, inference_id=rating.inference_id, experiment_id=experiment_id, variant_id=variant,
                        served_variant_id=variant, unit_hash=rating.unit_hash,
                    )
                )  # fmt: skip
                if chance.random() < 0.3:
                    stream.append(rated(experiment_id, variant, unit, chance.randint(1, 5), turn=turn, minute=2))
    chance.shuffle(stream)
    return stream


async def count(world: World, table: str, *, at_least: float) -> bool:
    async with world.direct.engine.connect() as connection:
        rows = (await connection.execute(sa.text(f"SELECT count(*) FROM feedback.{table}"))).scalar_one()
    return rows >= at_least


async def nothing_pending(world: World) -> bool:
    pending = [row for row in await world.table("dataset_requests") if row["state"] == "pending"]
    return not pending and not await world.table("outbox")


async def exact(world: World, ratings: list[InferenceRated], *, inferences: int) -> None:
    """Everything is there once, and every figure is what the latest ratings say."""
    latest = {rating.inference_id: rating for rating in sorted(ratings, key=lambda rating: rating.rated_at)}
    users: dict[tuple[str, str], list[float]] = defaultdict(list)
    for rating in latest.values():
        assert rating.value is not None
        users[rating.variant_id, rating.unit_hash].append(rating.value)
    assert len(await world.table("ratings")) == len(ratings)
    assert len(await world.table("inferences")) == inferences
    arms = {0: BASE, 1: CANDIDATE}
    kept = {(arms[row["arm"]], row["unit_hash"]): row for row in await world.table("experiment_users")}
    assert {place: (row["exposures"], row["ratings"], row["total"]) for place, row in kept.items()} == {
        place: (_TURNS, len(values), sum(values)) for place, values in users.items()
    }
    good = {rating.inference_id for rating in latest.values() if rating.value is not None and rating.value >= 4}
    samples = await world.table("samples")
    ready = {row["inference_id"] for row in samples if row["state"] == "ready"}
    exported = {row["inference_id"] for row in samples if row["state"] == "exported"}
    assert ready == good - exported
    assert len({row["inference_id"] for row in samples}) == len(samples)
    requests = sorted(await world.table("dataset_requests"), key=lambda row: row["number"])
    assert [row["number"] for row in requests] == list(range(1, len(requests) + 1))
    assert requests[-1]["sample_count"] == len(exported)

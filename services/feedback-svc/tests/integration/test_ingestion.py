"""However inferences and ratings come - order, copies, batches - the same rows and the same figures are left."""

import random
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from feedback_world import BASE, CANDIDATE, World, a_rating, a_task, an_inference, at
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from feedback_svc.store.tables import experiments
from loopwright.contracts.base import Event
from loopwright.contracts.inferences import InferenceCompleted, InferenceRated
from loopwright.contracts.registry import INFERENCE_RATED
from loopwright.testing.examples import an_event
from loopwright.testing.records import a_raw_record, a_record

VARIANTS = (BASE, CANDIDATE)
Figures = tuple[int, str | None, int, float, float, int, float]


@dataclass
class Story:
    """What happened to some units of an experiment, whatever becomes known of it when."""

    inferences: list[InferenceCompleted] = field(default_factory=list[InferenceCompleted])
    ratings: list[InferenceRated] = field(default_factory=list[InferenceRated])

    @property
    def events(self) -> list[Event]:
        return [*self.inferences, *self.ratings]


def a_story(name: str, experiment_id: str, chance: random.Random) -> Story:
    """Five units with earlier ratings, answers in one or two epochs, ratings changed, off the scale, or corrected."""
    story = Story()
    for unit in range(5):
        unit_hash, arm = f"{name}-u{unit}", unit % 2
        for turn in range(chance.randint(1, 4)):
            inside = turn > 0 or chance.random() < 0.5
            place = {"experiment_id": experiment_id, "epoch": 1 + turn // 3, "arm": arm} if inside else {}
            inference = an_inference(
                1, inference_id=f"{name}-i{unit}-{turn}", unit_hash=unit_hash, variant_id=VARIANTS[arm],
                answer=f"{name} {unit} {turn}", completed_at=at(10 * turn), **place,
            )  # fmt: skip
            story.inferences.append(inference)
            for number in range(chance.choice((0, 1, 1, 2))):
                story.ratings.append(
                    a_rating(
                        1, chance.choice((1, 2, 3.5, 5, 7, None)), rating_id=f"{name}-r{unit}-{turn}-{number}",
                        minute=10 * turn + chance.choice((1, 2, 3)), inference_id=inference.inference_id,
                        variant_id=inference.variant_id, unit_hash=unit_hash, rater_hash=unit_hash,
                        correction=chance.choice((None, None, "better")), **place,
                    )
                )  # fmt: skip
    return story


def standing_of(story: Story) -> list[InferenceRated]:
    """Ratings that count: of each rater the latest on the scale, and the latest without a value."""
    seats: dict[tuple[str, str, bool], InferenceRated] = {}
    for rating in sorted(story.ratings, key=lambda one: (one.rated_at, one.rating_id)):
        if rating.value is None or 1 <= rating.value <= 5:
            seats[rating.inference_id, rating.rater_hash, rating.value is None] = rating
    return list(seats.values())


def figures_of(story: Story, experiment_id: str) -> dict[tuple[str, int, int], Figures]:
    """What is to be counted of each unit, epoch and arm, by the plainest reckoning."""
    exposed: dict[tuple[str, int, int], list[InferenceCompleted]] = defaultdict(list)
    for one in story.inferences:
        if one.experiment_id == experiment_id:
            exposed[one.unit_hash, one.epoch or 1, one.arm or 0].append(one)
    valued = [rating for rating in standing_of(story) if rating.value is not None]
    heard: dict[tuple[str, int, int], list[float]] = defaultdict(list)
    for rating in valued:
        if rating.experiment_id == experiment_id:
            heard[rating.unit_hash, rating.epoch or 1, rating.arm or 0].append(rating.value or 0.0)
    figures: dict[tuple[str, int, int], Figures] = {}
    for place, seen in exposed.items():
        began = min(one.completed_at for key, all_seen in exposed.items() if key[0] == place[0] for one in all_seen)
        before = [
            rating.value or 0.0
            for rating in valued
            if rating.unit_hash == place[0] and rating.experiment_id is None and rating.rated_at < began
        ]
        values = heard[place]
        figures[place] = (
            len(seen), min(one.completed_at for one in seen).isoformat(), len(values), sum(values),
            sum(value**2 for value in values), len(before), sum(before),
        )  # fmt: skip
    return figures


async def kept_figures(world: World, name: str) -> dict[tuple[str, int, int], Figures]:
    return {
        (row["unit_hash"], row["epoch"], row["arm"]): (
            row["exposures"], row["first_exposed_at"] and row["first_exposed_at"].isoformat(), row["ratings"],
            row["total"], row["squares"], row["prior_ratings"], row["prior_total"],
        )
        for row in await world.table("experiment_users")
        if row["unit_hash"].startswith(f"{name}-")
    }  # fmt: skip


def in_batches(events: Iterable[Event], chance: random.Random) -> list[list[Event]]:
    """In any order, some more than once, cut anywhere; a batch holds one topic."""
    stream = [event for event in events for _ in range(chance.choice((1, 1, 2)))]
    chance.shuffle(stream)
    batches: list[list[Event]] = [[]]
    for event in stream:
        if batches[-1] and (type(batches[-1][0]) is not type(event) or chance.random() < 0.2):
            batches.append([])
        batches[-1].append(event)
    return batches


async def check(world: World, name: str, story: Story, experiment_id: str) -> None:
    counting = {row["rating_id"] for row in await world.table("ratings") if row["counts"]}
    assert {one for one in counting if one.startswith(f"{name}-")} == {one.rating_id for one in standing_of(story)}
    stored = [row["inference_id"] for row in await world.table("inferences")]
    assert sorted(one for one in stored if one.startswith(f"{name}-")) == sorted(
        one.inference_id for one in story.inferences
    )
    assert await kept_figures(world, name) == figures_of(story, experiment_id)


async def samples_of(world: World, name: str) -> set[tuple[str, str, str, tuple[str, ...]]]:
    return {
        (row["inference_id"].removeprefix(name), row["state"], row["source"], tuple(row["rating_ids"]))
        for row in await world.table("samples")
        if row["inference_id"].startswith(f"{name}-") and row["state"] == "ready"
    }


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True)
@given(seed=st.integers(0, 10**6))
async def test_any_order_copies_and_batches_leave_what_a_recount_of_everything_gives(world: World, seed: int) -> None:
    running = await world.table("experiments")
    experiment_id = running[0]["experiment_id"] if running else await world.start_experiment()
    chance = random.Random(seed)
    name = f"{seed}-{chance.randint(0, 10**9)}"
    story = a_story(name, experiment_id, chance)
    for batch in in_batches(story.events, chance):
        await world.hand_together(batch)
    await check(world, name, story, experiment_id)
    learned = await samples_of(world, name)

    for batch in in_batches(story.events, chance):
        await world.hand_together(batch)
    await check(world, name, story, experiment_id)
    assert await samples_of(world, name) == learned


async def test_a_poisonous_event_in_the_middle_of_a_batch_goes_aside_alone(world: World) -> None:
    await world.hand(a_task())
    envelope = [("ce_id", b"poison"), ("ce_type", INFERENCE_RATED.event_type.encode())]
    foreign = an_event(INFERENCE_RATED, rating_id="r-foreign", task_id="nobody-knows")
    records = [a_record(a_rating(number, rating_id=f"r{number}"), offset=number) for number in range(8)]
    records.insert(4, a_raw_record(INFERENCE_RATED, b"{", headers=envelope, offset=100))
    records.insert(6, a_record(foreign, offset=101))
    await world.consume_together(records)
    assert {row["rating_id"] for row in await world.table("ratings")} == {f"r{number}" for number in range(8)}
    assert sorted(await world.dead_letters(INFERENCE_RATED)) == ["event.invalid-payload", "task.not-known-yet"]


async def test_pinned_requests_and_shadows_are_stored_and_not_counted(world: World) -> None:
    experiment_id = await world.start_experiment()
    place = {"experiment_id": experiment_id, "epoch": 1, "arm": 0}
    await world.hand_together([
        an_inference(1, pinned=True, **place), an_inference(2, shadow_of="inf-9", **place), an_inference(3, **place),
        an_inference(4, **(place | {"arm": None, "variant_id": CANDIDATE})),
        an_inference(5, **(place | {"arm": None, "variant_id": "stranger:1"})),
    ])  # fmt: skip
    assert len(await world.table("inferences")) == 5
    counted = {(row["unit_hash"], row["arm"]) for row in await world.table("experiment_users")}
    assert counted == {("unit-3", 0), ("unit-4", 1)}


async def test_what_comes_after_an_experiment_has_ended_changes_none_of_its_figures(world: World) -> None:
    experiment_id = await world.start_experiment()
    place = {"experiment_id": experiment_id, "epoch": 1, "arm": 0}
    await world.hand_together([an_inference(1, **place)])
    before = await world.table("experiment_users")
    async with world.direct.engine.begin() as connection:
        await connection.execute(experiments.update().values(state="stopped"))
    await world.hand_together([an_inference(2, **place), an_inference(3, unit_hash="unit-1", **place)])
    await world.hand_together([a_rating(1, **place)])
    assert await world.table("experiment_users") == before

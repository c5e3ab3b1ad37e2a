# ruff: noqa: INP001 (a script's part)
"""Traffic as it comes: answers of 400-character prompts, a fifth rated, some corrected, some delivered twice."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pydantic import JsonValue

from loopwright.broker import KafkaRecord
from loopwright.contracts.base import Event, JsonObject
from loopwright.contracts.models import ModelEvaluated
from loopwright.contracts.registry import INFERENCE_COMPLETED, INFERENCE_RATED, MODEL_EVALUATED, TASK_DEFINED
from loopwright.contracts.tasks import TaskDefined
from loopwright.testing.examples import an_event, example_payload
from loopwright.testing.records import a_record

TASK, CHAMPION, CANDIDATE = "bench", "tiny-base:1", "bench:1"
_WORDS = ("service", "returned", "error", "after", "update", "nobody", "could", "log", "in", "hour", "rolled", "back")
_RATED_0_1, _CORRECTED_0_1, _TWICE_0_1 = 0.2, 0.03, 0.02
_INFERENCES_OF_A_UNIT = 20
_BEGIN = datetime(2026, 11, 21, tzinfo=UTC)
_PROMPT, _ANSWER = 400, 300


@dataclass(frozen=True)
class Traffic:
    """Records in the order in which they are published, and what is in them.

    Attributes:
        events: Records without the copies.
    """

    records: list[KafkaRecord]
    inferences: int
    ratings: int

    @property
    def events(self) -> int:
        return self.inferences + self.ratings


def a_task() -> TaskDefined:
    """A task whose experiment never ends by itself and that asks for no dataset."""
    rollout: JsonObject = {
        "candidate_share_0_1": 0.5,
        "min_users_per_arm": 10**6,
        "planned_users": 10**6,
        "max_users": 10**7,
    }
    return an_event(TASK_DEFINED, task_id=TASK, rollout=rollout, retraining={"enabled": False, "min_stars": 4})


def an_evaluation() -> ModelEvaluated:
    """A candidate that passed its gate, for which an experiment is opened."""
    template = example_payload(MODEL_EVALUATED)["champion"]
    assert isinstance(template, dict)
    champion, candidate = (template | {"variant_id": one, "task_id": TASK} for one in (CHAMPION, CANDIDATE))
    return an_event(MODEL_EVALUATED, task_id=TASK, candidate=candidate, champion=champion, passed=True)


def traffic(events: int, experiment_id: str, *, seed: int) -> Traffic:
    """About so many events. Every fifth rating is published before its inference."""
    chance = random.Random(seed)  # noqa: S311 - the same traffic each time, no secret
    records: list[KafkaRecord] = []
    ratings = 0
    inferences = round(events / (1 + _RATED_0_1))
    for number in range(inferences):
        story = list(_story(number, experiment_id, chance, units=max(1, inferences // _INFERENCES_OF_A_UNIT)))
        ratings += len(story) - 1
        if chance.random() < 0.2:
            story.reverse()
        for event in story:
            record = a_record(event)
            records += [record] * (2 if chance.random() < _TWICE_0_1 else 1)
    return Traffic(records=records, inferences=inferences, ratings=ratings)


def _story(number: int, experiment_id: str, chance: random.Random, *, units: int) -> Iterator[Event]:
    unit = chance.randrange(units)
    variant = (CHAMPION, CANDIDATE)[unit % 2]
    assigned: JsonObject = {
        "inference_id": f"inf-{number}", "task_id": TASK, "experiment_id": experiment_id, "epoch": 1, "arm": unit % 2,
        "variant_id": variant, "unit_hash": f"unit-{unit}",
    }  # fmt: skip
    answered_at = _BEGIN + timedelta(milliseconds=number)
    said = _text(chance, _PROMPT)
    messages: list[JsonValue] = [{"role": "system", "content": "Answer the ticket."}, {"role": "user", "content": said}]
    yield an_event(
        INFERENCE_COMPLETED, **assigned, served_variant_id=variant, input=said, messages=messages,
        answer=_text(chance, _ANSWER), pinned=False, shadow_of=None, completed_at=answered_at.isoformat(),
    )  # fmt: skip
    if chance.random() < _RATED_0_1:
        correction = _text(chance, _ANSWER) if chance.random() < _CORRECTED_0_1 / _RATED_0_1 else None
        yield an_event(
            INFERENCE_RATED, **assigned, rating_id=f"rat-{number}", rater_hash=f"unit-{unit}", metric="stars",
            value=chance.choice((1, 3, 4, 5, 5)), correction=correction, comment=None,
            rated_at=(answered_at + timedelta(seconds=30)).isoformat(),
        )  # fmt: skip


def _text(chance: random.Random, length: int) -> str:
    return " ".join(chance.choices(_WORDS, k=length // 5))[:length]

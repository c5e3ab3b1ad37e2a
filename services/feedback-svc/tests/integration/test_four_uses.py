"""The four uses that users named, each through real Kafka from what apps publish to the rows of a dataset request.

Logs are real lines with their operators' labels. In each use something is quarantined, and does not get into the rows.
"""

import json
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa
from aiokafka import AIOKafkaProducer
from feedback_world import World, a_task
from pydantic import JsonValue
from service_process import ServiceProcess, first_event, publish
from upstream_world import a_label, a_record, an_answer, an_incident, sources

from feedback_svc.store.tables import samples, source_records
from loopwright.contracts.base import Artifact, Event, JsonObject
from loopwright.contracts.datasets import DatasetRequested
from loopwright.contracts.records import FeedbackReceived, LogReceived
from loopwright.contracts.registry import DATASET_REQUESTED
from loopwright.testing.records import a_record as as_record
from loopwright.testing.tokens import TokenMint
from loopwright.testing.waiting import eventually

pytestmark = pytest.mark.timeout(600)
BGL = Path(__file__).parents[4].parent / "shared/data/loghub/BGL_2k.log"
RUN = f"{random.getrandbits(48):x}"  # the broker and its topics serve other tests as well
UNWILLING = f"unwilling-{RUN}"  # lets nothing be trained on


def labelled_lines(count: int) -> list[JsonObject]:
    """Lines of a supercomputer's log; operators marked normal ones with a dash."""
    if not BGL.is_file():
        pytest.skip("the shared logs are not beside the project")
    found: list[JsonObject] = []
    for line in BGL.read_text(errors="replace").splitlines():
        mark, _, message = line.partition(" ")
        found.append({"message": message, "expert_label": {"anomaly": mark != "-"}})
    marked = [one for one in found if one["expert_label"] == {"anomaly": True}]
    return marked[: count // 4] + [one for one in found if one not in marked][: count - len(marked[: count // 4])]


def of_the_unwilling(events: Iterable[FeedbackReceived]) -> list[FeedbackReceived]:
    return [event.model_copy(update={"unit_hash": UNWILLING}) for event in events]


def knowledge() -> list[Event]:
    ticket: JsonObject = {"description": "끊깁니다", "category": "네트워크", "resolution": "다시 설치함"}
    tickets = [
        a_record("service-desk.resolved", ticket | {"title": f"VPN {number}"}, f"t{RUN}-{number}")
        for number in range(6)
    ]
    answers = [an_answer(f"k{RUN}-{number}", rating=3 + number % 3) for number in range(9)]
    return [*tickets, *answers, *of_the_unwilling([an_answer(f"u{RUN}")])]


def incidents() -> list[Event]:
    found: list[Event] = []
    for number in range(12):
        found += an_incident(f"INC-{RUN}-{number}", result="failure" if number == 7 else "success")
    return [*found, *of_the_unwilling(an_incident(f"INC-{RUN}-u"))]


def logs() -> list[Event]:
    lines = labelled_lines(200)
    lines.append({"message": "mine", "unit_hash": UNWILLING, "expert_label": {"anomaly": False}})
    parts = [lines[start : start + 67] for start in range(0, len(lines), 67)]
    return [
        LogReceived(
            type=f"bgl-{RUN}", timestamp=datetime(2026, 11, 21, 12, number, tzinfo=UTC), count=len(part),
            data=tuple(part),
        )
        for number, part in enumerate(parts)
    ]  # fmt: skip


def labels() -> list[Event]:
    """Two raters who agree, one whom they contradict and who is alone on one problem."""
    told = [("수", "anna", range(12)), ("수", "ben", range(12)), ("식", "mallory", range(6, 13))]
    found: list[Event] = [
        a_label(large, f"{by}{RUN}-{number}", by=f"{by}-{RUN}", problem_id=f"p{RUN}-{number}", problem=f"{number} + 1")
        for large, by, numbers in told
        for number in numbers
    ]
    return [*found, a_record("label.corrected", {"problem_id": "no labels"}, f"bad{RUN}")]


@dataclass(frozen=True, kw_only=True)
class Use:
    """One use.

    Attributes:
        taught: Samples that its records form, the quarantined one among them.
        held_because: Why that one is.
        holds: What the rows must be like.
    """

    sources: list[JsonValue]
    records: Callable[[], list[Event]]
    taught: int
    held_because: str
    holds: Callable[[dict[str, str]], bool]


def learns_whole_answers(rows: dict[str, str]) -> bool:
    wanted = {f"answer k{RUN}-{number}" for number in range(9) if number % 3}
    return wanted <= set(rows.values()) and sum("다시 설치함" in answer for answer in rows.values()) == 6


def learns_successes(rows: dict[str, str]) -> bool:
    told = "\n".join(rows)
    return f"INC-{RUN}-0" in told and f"INC-{RUN}-7" not in told and all("rotate" in one for one in rows.values())


def learns_what_operators_marked(rows: dict[str, str]) -> bool:
    right = {str(line["message"]): line["expert_label"] == {"anomaly": True} for line in labelled_lines(200)}
    alarms = [question for question, answer in rows.items() if "alert" in answer]
    return len(alarms) >= 50 and all(right[question] for question in alarms) and rows.keys() == right.keys()


def learns_what_most_say(rows: dict[str, str]) -> bool:
    return all("수" in answer for answer in rows.values())


USES = {
    "knowledge-assistant": Use(
        sources=sources("service-requests", "knowledge-assistant"), records=knowledge, taught=13,
        held_because="no-consent", holds=learns_whole_answers,
    ),
    "incident-evidence": Use(
        sources=sources("incident-evidence"), records=incidents, taught=12, held_because="no-consent",
        holds=learns_successes,
    ),
    "log-batches": Use(
        sources=[{"source": "log-batches", "options": {"aspect": "anomaly", "types": [f"bgl-{RUN}"]}}], records=logs,
        taught=201, held_because="no-consent", holds=learns_what_operators_marked,
    ),
    "label-corrections": Use(
        sources=sources("label-corrections"), records=labels, taught=13, held_because="rater-unreliable",
        holds=learns_what_most_say,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", USES)
async def test_what_apps_publish_becomes_rows_of_a_dataset_but_for_what_is_quarantined(
    name: str, world: World, process: ServiceProcess, producer: AIOKafkaProducer, kafka_bootstrap: str, mint: TokenMint
) -> None:
    use, task_id = USES[name], f"{name}-{RUN}"
    records = use.records()
    await process.start()
    await publish(producer, as_record(a_task(task_id=task_id, sources=use.sources, retraining={"enabled": False})))
    random.Random(7).shuffle(records)
    # everything twice, under two event ids: upstream apps that crash send again
    await publish(producer, *(as_record(event) for event in records for _ in range(2)))

    async with httpx.AsyncClient(base_url=process.url, headers=mint.header("admin"), timeout=60) as client:
        await eventually(lambda: all_checked(world, len(records)), timeout_s=60)
        asked = await client.post("/api/v1/learn/collect", json={"task_id": task_id, "preview": False})
        assert asked.status_code == 200, asked.text
        await eventually(lambda: formed(world, task_id, use.taught), timeout_s=60)
        consent = await client.put(f"/api/v1/feedback/consents/{UNWILLING}", json={"training": False})
        assert consent.status_code == 200, consent.text
        lines = await train(client, kafka_bootstrap, world, task_id)

    held = [row for row in await samples_of(world, task_id) if row["state"] == "quarantined"]
    assert [row["held_because"] for row in held] == [use.held_because]
    assert held[0]["sample_id"] not in {line["sample_id"] for line in lines}
    assert len(lines) == use.taught - 1
    assert use.holds({str(line["input"]): str(line["messages"][-1]["content"]) for line in lines})


async def all_checked(world: World, wanted: int) -> bool:
    """Whether every record of this run was checked against its schema, once."""
    mine = source_records.c.record_id.contains(RUN) | (source_records.c.kind == f"bgl-{RUN}")
    return len(await world.rows(sa.select(source_records.c.record_id).where(mine))) == wanted


async def samples_of(world: World, task_id: str) -> list[sa.RowMapping]:
    return await world.rows(sa.select(samples).where(samples.c.task_id == task_id))


async def formed(world: World, task_id: str, wanted: int) -> bool:
    return sum(row["state"] == "ready" for row in await samples_of(world, task_id)) == wanted


async def train(client: httpx.AsyncClient, bootstrap: str, world: World, task_id: str) -> list[JsonObject]:
    """Asks for training, and reads what dataset-svc is told to read."""
    asked = (await client.post("/api/v1/learn/train", json={"task_id": task_id})).json()
    request_id = asked["run"]["request_id"]
    requested = await first_event(
        bootstrap, DATASET_REQUESTED, lambda event: getattr(event, "request_id", None) == request_id
    )
    assert isinstance(requested.event, DatasetRequested)
    content = await world.storage.read_bytes(Artifact.model_validate(requested.event.source))
    return [json.loads(line) for line in content.splitlines()]

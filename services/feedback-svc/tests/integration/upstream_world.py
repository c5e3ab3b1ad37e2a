"""Records of upstream apps for tests, and a service that checks and collects them on demand."""

from datetime import UTC, datetime

import sqlalchemy as sa
from feedback_world import TASK, World
from pydantic import JsonValue

from feedback_svc.jobs.collecting import CollectingTimer, Collector, Inspector
from loopwright.contracts.base import JsonObject
from loopwright.contracts.records import FeedbackReceived, LogReceived

LABELS: JsonObject = {"대분류": "수", "중분류": "덧셈", "하위 분류": "한 자리"}


def a_record(kind: str, record: JsonObject, record_id: str, *, unit_hash: str | None = None,
             at: datetime | None = None) -> FeedbackReceived:  # fmt: skip
    return FeedbackReceived(
        record_id=record_id, kind=kind, record=record, received_at=at or datetime.now(UTC), unit_hash=unit_hash
    )


def an_answer(record_id: str = "k1", *, rating: float = 5, unit_hash: str | None = None) -> FeedbackReceived:
    record: JsonObject = {"query": f"question {record_id}", "answer": f"answer {record_id}", "rating": rating}
    return a_record("knowledge.rated", record, record_id, unit_hash=unit_hash)


def an_incident(incident: str, *, result: str = "success") -> list[FeedbackReceived]:
    """The three records of an incident."""
    parts: dict[str, JsonObject] = {
        "reasoned": {"alert_name": "DiskFull", "evidence": f"{incident}: 99 %", "reasoning": "Logs.", "risk": "low"},
        "repaired": {"playbook": "clean-logs", "steps": ["rotate", "compress"]},
        "verified": {"verification_result": result, "summary": "40 %", "collected_at": datetime.now(UTC).isoformat()},
    }
    return [
        a_record(f"incident.{name}", part | {"incident_id": incident}, f"{incident}-{name}")
        for name, part in parts.items()
    ]


def a_label(large: str, record_id: str, *, by: str, problem_id: str = "p1", **more: JsonValue) -> FeedbackReceived:
    record: JsonObject = {"problem_id": problem_id, "correct_labels": LABELS | {"대분류": large}, "rater": by, **more}
    return a_record("label.corrected", record, record_id)


def a_batch(*entries: JsonObject, log_type: str = "syslog", minute: int = 0) -> LogReceived:
    at = datetime(2026, 11, 21, 12, minute, tzinfo=UTC)
    return LogReceived(type=log_type, timestamp=at, count=len(entries), data=entries)


def sources(*names: str, **options: JsonValue) -> list[JsonValue]:
    """What a task declares; `options` are those of every source named."""
    return [{"source": name, "options": options} for name in names]


class Upstream:
    """What stands between records and samples, driven by hand."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.inspector = Inspector(world.work, every_s=0.05)
        self.collector = Collector(world.work, every_s=0.05)
        self.timer = CollectingTimer(world.work, every_s=0.05)

    async def inspect(self) -> None:
        while await self.inspector.look():
            pass

    async def collect(self) -> None:
        """Checks all records, and makes samples of those whose sources are collected as they come."""
        await self.inspect()
        await self.timer.look()
        while await self.collector.collect_next():
            pass

    async def samples(self, state: str = "ready", task_id: str = TASK) -> dict[str, str]:
        """Answers of samples of sources, by key."""
        rows = await self.world.table("samples")
        return {
            row["source_key"]: row["lesson"]["answer"]
            for row in rows
            if row["state"] == state and row["task_id"] == task_id and row["collected_from"]
        }

    async def last_run(self) -> sa.RowMapping:
        runs = await self.world.table("collections")
        return max(runs, key=lambda run: run["requested_at"])

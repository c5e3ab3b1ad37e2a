"""Exports of a source's evidence as instruction, input, output and metadata; each week's file stays as it was written."""

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta

from pydantic import Field

from feedback_svc.domain.schedules import next_after
from feedback_svc.store.erasures import count_erasures, hold_off
from feedback_svc.store.evidence_exports import (
    Evidence,
    EvidenceExport,
    EvidenceState,
    add_evidence_export,
    last_due_at,
    list_evidence,
)
from feedback_svc.store.export_deletions import queue_deletion
from feedback_svc.store.tasks import Task
from loopwright.contracts.base import Artifact, ChatMessage, Value
from loopwright.contracts.tasks import SourcePolicy
from loopwright.unit_of_work import Work

MEDIA_TYPE, SUFFIX = "application/jsonl", ".jsonl"
_MOST = 20_000  # samples of one file
_LOOK_BACK = timedelta(days=7)
_MISSED = timedelta(days=1)  # a time that was missed by more is let go


class EvidenceLine(Value):
    """One line of the file."""

    instruction: str = Field(description="system message of the task")
    input: str
    output: str
    metadata: dict[str, str]


class _Lesson(Value):
    answer: str
    input: str
    messages: tuple[ChatMessage, ...]
    metadata: dict[str, str]


async def evidence_due_at(task: Task, policy: SourcePolicy, work: Work, *, now: datetime) -> datetime | None:
    """The time of the schedule for which an export is to be made now; None if none is."""
    if policy.export is None or not policy.enabled:
        return None
    last = await last_due_at(work.session, task.task_id, policy.source)
    at = next_after(policy.export, max(last or task.defined_at, now - _MISSED))
    return at if at is not None and at <= now else None


async def read_evidence(task: Task, source: str, work: Work, *, due_at: datetime) -> tuple[Sequence[Evidence], int]:
    """What is to be written, and how many persons had been erased before it was read."""
    erasures = await count_erasures(work.session)
    since = due_at - _LOOK_BACK
    return await list_evidence(work.session, task.task_id, source, since=since, at_most=_MOST), erasures


def evidence_lines(evidence: Sequence[Evidence]) -> bytes:
    """JSON Lines; equal evidence gives equal bytes."""
    return b"".join(_line(one).model_dump_json().encode() + b"\n" for one in evidence)


def kind_of(source: str, due_at: datetime) -> str:
    """Folder of the file: its time is in its name, and its hash is the rest of it, so that nothing is written twice."""
    return f"evidence-exports/{source}/{due_at:%Y%m%dT%H%M%SZ}"


def _line(evidence: Evidence) -> EvidenceLine:
    lesson = _Lesson.model_validate_json(evidence.lesson)
    system = next((message.content for message in lesson.messages if message.role == "system"), "")
    return EvidenceLine(instruction=system, input=lesson.input, output=lesson.answer, metadata=lesson.metadata)


async def finish_evidence(
    task: Task, source: str, evidence: Sequence[Evidence], work: Work, *, written: tuple[Artifact, int] | None,
    times: tuple[datetime, datetime],
) -> None:  # fmt: skip
    """Records what was written.

    If somebody was erased since the evidence was read, the file must go, and is made anew without a word of that person.

    Args:
        written: The file, and how many persons had been erased before its evidence was read; None if there was none.
        times: When it was due, and now.
    """
    due_at, now = times
    await hold_off(work.session)
    if written is not None and await count_erasures(work.session) != written[1]:
        reason = "written while a person was erased"
        await queue_deletion(work.session, written[0].uri, reason=reason, now=now)
        return
    export = EvidenceExport(
        export_id=f"evi-{uuid.uuid4().hex}",
        task_id=task.task_id,
        source=source,
        state=EvidenceState.EMPTY if written is None else EvidenceState.WRITTEN,
        due_at=due_at,
        made_at=now,
        source_ids=tuple(sorted({name for one in evidence for name in one.record_ids})),
        subjects=frozenset[str]().union(*(one.subjects for one in evidence)),
        count=len(evidence),
        artifact=None if written is None else written[0],
    )
    await add_evidence_export(work.session, export)


async def record_failure(task: Task, source: str, work: Work, *, error: str, times: tuple[datetime, datetime]) -> None:
    """Records that an export failed; it is tried again, and nothing else waits for it."""
    due_at, now = times
    export = EvidenceExport(
        export_id=f"evi-{uuid.uuid4().hex}", task_id=task.task_id, source=source, state=EvidenceState.FAILED,
        due_at=due_at, made_at=now, error=error,
    )  # fmt: skip
    await add_evidence_export(work.session, export)

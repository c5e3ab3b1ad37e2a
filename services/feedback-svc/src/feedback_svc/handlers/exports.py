"""Exports: all that a task has taught, as JSON Lines, announced once per request."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from feedback_svc.domain.samples import SampleState
from feedback_svc.store.dataset_requests import DatasetRequest, is_pending, mark_announced, mark_withdrawn
from feedback_svc.store.erasures import count_erasures, hold_off
from feedback_svc.store.export_deletions import queue_deletion
from feedback_svc.store.samples import Lesson, list_lessons
from loopwright.contracts.base import Artifact, ChatMessage, Value
from loopwright.contracts.datasets import DatasetRequested, SampleSource
from loopwright.unit_of_work import Work

KIND = "feedback-exports"
SUFFIX = ".jsonl"
MEDIA_TYPE = "application/jsonl"


class ExportLine(Value):
    """One sample as dataset-svc reads it."""

    sample_id: str
    task_id: str
    input: str
    messages: tuple[ChatMessage, ...]
    source: SampleSource
    inference_id: str | None
    rating_ids: tuple[str, ...]
    unit_hash: str | None
    weight_0_1: float
    metadata: dict[str, str] | None = None


@dataclass(frozen=True, kw_only=True)
class Export:
    """What a request takes along.

    Attributes:
        erasures: How many persons had been erased before the samples were read.
    """

    lessons: Sequence[Lesson]
    erasures: int


async def read_export(request: DatasetRequest, work: Work) -> Export | None:
    """The samples of a request; None, and its end, if every one of them was erased."""
    erasures = await count_erasures(work.session)
    lessons = await list_lessons(work.session, request.task_id, up_to_request=request.number)
    if not lessons:
        await mark_withdrawn(work.session, request.request_id)
        return None
    return Export(lessons=lessons, erasures=erasures)


def export_lines(lessons: Sequence[Lesson]) -> bytes:
    """JSON Lines; equal samples give equal bytes."""
    return b"".join(_line(lesson).model_dump_json(exclude_defaults=True).encode() + b"\n" for lesson in lessons)


def _line(lesson: Lesson) -> ExportLine:
    sample, content = lesson.sample, lesson.content
    assert sample.state is SampleState.EXPORTED
    assert content.input is not None
    assert content.messages is not None
    return ExportLine(
        sample_id=sample.sample_id,
        task_id=lesson.task_id,
        input=content.input,
        messages=(*content.messages, ChatMessage(role="assistant", content=sample.draft.answer)),
        source=sample.draft.source,
        inference_id=sample.inference_id,
        rating_ids=sample.draft.rating_ids,
        unit_hash=lesson.unit_hash,
        weight_0_1=sample.draft.weight_0_1 * lesson.trust_0_1,
        metadata=dict(lesson.metadata) or None,
    )


async def finish_export(
    request: DatasetRequest, export: Export, source: Artifact, work: Work, *, now: datetime
) -> None:
    """Announces a request whose samples are written, unless that was done meanwhile.

    If somebody was erased since the samples were read, and was in them, what was written must go and the request waits
    to be exported anew.
    """
    await hold_off(work.session)
    pending = await is_pending(work.session, request.request_id)
    if await count_erasures(work.session) != export.erasures and await _differs(request, source, work):
        reason = "written while a person in it was erased"
        await queue_deletion(work.session, source.uri, reason=reason, now=now)
        return
    if not pending:
        return
    count = len(export.lessons)
    await mark_announced(work.session, request.request_id, source=source, sample_count=count, now=now)
    event = DatasetRequested(
        request_id=request.request_id,
        task_id=request.task_id,
        dataset_name=request.task_id,
        source=source,
        sample_count=count,
        data_policy=request.data_policy,
        reason=request.reason,
        requested_at=request.requested_at,
    )
    work.announce(event, traceparent=request.traceparent)


async def _differs(request: DatasetRequest, source: Artifact, work: Work) -> bool:
    lessons = await list_lessons(work.session, request.task_id, up_to_request=request.number)
    return hashlib.sha256(export_lines(lessons)).hexdigest() != source.sha256

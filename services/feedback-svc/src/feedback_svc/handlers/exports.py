"""Exports: all that a task has taught, as JSON Lines, announced once per request."""

from datetime import datetime

from feedback_svc.domain.samples import SampleState
from feedback_svc.store.dataset_requests import DatasetRequest, is_pending, mark_announced
from feedback_svc.store.samples import Lesson
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
    inference_id: str
    rating_ids: tuple[str, ...]
    unit_hash: str
    weight_0_1: float


def export_lines(lessons: list[Lesson]) -> bytes:
    """JSON Lines; equal samples give equal bytes."""
    return b"".join(_line(lesson).model_dump_json().encode() + b"\n" for lesson in lessons)


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
        weight_0_1=sample.draft.weight_0_1,
    )


async def finish_export(
    request: DatasetRequest, source: Artifact, work: Work, *, sample_count: int, now: datetime
) -> None:
    """Announces a request whose samples are written, unless that was done meanwhile."""
    if not await is_pending(work.session, request.request_id):
        return
    await mark_announced(work.session, request.request_id, source=source, sample_count=sample_count, now=now)
    event = DatasetRequested(
        request_id=request.request_id,
        task_id=request.task_id,
        dataset_name=request.task_id,
        source=source,
        sample_count=sample_count,
        data_policy=request.data_policy,
        reason=request.reason,
        requested_at=request.requested_at,
    )
    work.announce(event, traceparent=request.traceparent)

"""What upstream apps send: log batches and feedback records, kept as they came, but for what erased persons said."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from pydantic import JsonValue

from feedback_svc.domain.subjects import subjects_of, without
from feedback_svc.store.erasures import find_erased_subjects, hold_off
from feedback_svc.store.records import RecordOrigin, UpstreamRecord, keep_record
from loopwright.contracts.records import FeedbackReceived, LogReceived
from loopwright.errors import InvalidPayload
from loopwright.unit_of_work import Work


async def take_logs(events: Sequence[LogReceived], work: Work, *, now: datetime) -> None:
    """Keeps batches of log records; the same batch sent again is recognised by its content.

    Raises:
        InvalidPayload: one does not hold as many records as it says, so part of it was lost.
    """
    await _keep([_logs(event) for event in events], work, now=now)


async def take_feedback(events: Sequence[FeedbackReceived], work: Work, *, now: datetime) -> None:
    """Keeps records of feedback; of several with the same id and kind, the one published last."""
    await _keep([_feedback(event) for event in events], work, now=now)


def _logs(event: LogReceived) -> UpstreamRecord:
    if event.count != len(event.data):
        raise InvalidPayload(
            "log.count-mismatch", f"the batch says {event.count} records and holds {len(event.data)}", count=event.count
        )
    content: JsonValue = list(event.data)
    return UpstreamRecord(
        origin=RecordOrigin.LOG,
        kind=event.type,
        record_id=hashlib.sha256(event.model_dump_json().encode()).hexdigest(),
        records=event.count,
        content=content,
        published_at=event.timestamp,
        subjects=subjects_of(content),
    )


def _feedback(event: FeedbackReceived) -> UpstreamRecord:
    return UpstreamRecord(
        origin=RecordOrigin.FEEDBACK,
        kind=event.kind,
        record_id=event.record_id,
        records=1,
        content=event.record,
        published_at=event.received_at,
        subjects=subjects_of(event.record) | ({event.unit_hash} if event.unit_hash else frozenset()),
    )


async def _keep(records: Sequence[UpstreamRecord], work: Work, *, now: datetime) -> None:
    """In one order, so that two batches that hold the same records cannot wait for each other."""
    await hold_off(work.session)
    erased = await find_erased_subjects(work.session, frozenset().union(*(record.subjects for record in records)))
    for record in sorted(records, key=lambda record: (record.kind, record.record_id)):
        await keep_record(work.session, _cleaned(record, record.subjects & erased), received_at=now)


def _cleaned(record: UpstreamRecord, erased: frozenset[str]) -> UpstreamRecord:
    """A batch of logs loses the records that name erased persons; a record of feedback, all it says."""
    if not erased:
        return record
    if record.origin is RecordOrigin.LOG:
        content = without(record.content, erased)
        return replace(record, content=content, subjects=record.subjects - erased, erased=True)
    return replace(record, content=None, subjects=frozenset(), erased=True)

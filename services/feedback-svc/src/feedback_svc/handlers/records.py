"""What upstream apps send: log batches and feedback records, kept as they came, but for what erased persons said."""

import hashlib
from datetime import datetime

from pydantic import JsonValue

from feedback_svc.domain.subjects import subjects_of, without
from feedback_svc.store.erasures import find_erased_subjects, hold_off
from feedback_svc.store.records import RecordOrigin, UpstreamRecord, keep_record
from loopwright.contracts.records import FeedbackReceived, LogReceived
from loopwright.errors import InvalidPayload
from loopwright.unit_of_work import Work


async def take_logs(event: LogReceived, work: Work, *, now: datetime) -> None:
    """Keeps a batch of log records; the same batch sent again is recognised by its content.

    Raises:
        InvalidPayload: it does not hold as many records as it says, so part of it was lost.
    """
    if event.count != len(event.data):
        raise InvalidPayload(
            "log.count-mismatch", f"the batch says {event.count} records and holds {len(event.data)}", count=event.count
        )
    digest = hashlib.sha256(event.model_dump_json().encode()).hexdigest()
    content: JsonValue = list(event.data)
    subjects = subjects_of(content)
    await hold_off(work.session)
    erased = await find_erased_subjects(work.session, subjects)
    record = UpstreamRecord(
        origin=RecordOrigin.LOG,
        kind=event.type,
        record_id=digest,
        records=event.count,
        content=without(content, erased),
        published_at=event.timestamp,
        subjects=subjects - erased,
        erased=bool(erased),
    )
    await keep_record(work.session, record, received_at=now)


async def take_feedback(event: FeedbackReceived, work: Work, *, now: datetime) -> None:
    """Keeps a record of feedback; of several with the same id and kind, the one published last."""
    subjects = subjects_of(event.record) | ({event.unit_hash} if event.unit_hash else frozenset())
    await hold_off(work.session)
    erased = await find_erased_subjects(work.session, subjects)
    record = UpstreamRecord(
        origin=RecordOrigin.FEEDBACK,
        kind=event.kind,
        record_id=event.record_id,
        records=1,
        content=None if erased else event.record,
        published_at=event.received_at,
        subjects=frozenset() if erased else subjects,
        erased=bool(erased),
    )
    await keep_record(work.session, record, received_at=now)

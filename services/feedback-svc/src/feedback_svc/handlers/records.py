"""What upstream apps send: log batches and feedback records, kept as they came."""

import hashlib
from datetime import datetime

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
    record = UpstreamRecord(
        origin=RecordOrigin.LOG,
        kind=event.type,
        record_id=digest,
        records=event.count,
        content=list(event.data),
        published_at=event.timestamp,
    )
    await keep_record(work.session, record, received_at=now)


async def take_feedback(event: FeedbackReceived, work: Work, *, now: datetime) -> None:
    """Keeps a record of feedback; of several with the same id and kind, the one published last."""
    record = UpstreamRecord(
        origin=RecordOrigin.FEEDBACK,
        kind=event.kind,
        record_id=event.record_id,
        records=1,
        content=event.record,
        published_at=event.received_at,
    )
    await keep_record(work.session, record, received_at=now)

"""Upstream records are checked against the schema of their kind, after they were taken in and aside from that."""

from collections.abc import Sequence
from datetime import datetime

from feedback_svc.domain.samples import claim_of
from feedback_svc.domain.sources.catalogue import SOURCE_OF_LOGS, Misfit, read_record, source_of
from feedback_svc.handlers.alerts import alert_of_records
from feedback_svc.store.records import RecordOrigin
from feedback_svc.store.source_records import (
    Inspected,
    KeptRecord,
    RecordState,
    list_uninspected,
    lock_inspection,
    save_inspected,
)
from loopwright.unit_of_work import Work

_MOST_AT_ONCE = 50  # a record may have a megabyte


async def inspect_records(work: Work, *, now: datetime) -> Sequence[Inspected]:
    """Checks the oldest records that nobody has checked; nobody else does so at the same time.

    Returns:
        What was found; nothing if there was nothing to do.
    """
    if not await lock_inspection(work.session):
        return ()
    records = await list_uninspected(work.session, at_most=_MOST_AT_ONCE)
    if not records:
        return ()
    inspected = [inspect(record) for record in records]
    await save_inspected(work.session, inspected, now=now)
    for one in records:
        if one.origin == RecordOrigin.LOG and isinstance(one.content, list):
            await alert_of_records(one.kind, one.record_id, one.content, work, now=now)
    return inspected


def inspect(record: KeptRecord) -> Inspected:
    """Whether a record fits, and what it is about; one that does not fit stays as it is."""
    if record.origin == RecordOrigin.LOG:
        return Inspected(record=record, source=SOURCE_OF_LOGS.name, group_key=record.record_id, state=RecordState.FITS)
    source = source_of(record.kind)
    if source is None:
        return Inspected(
            record=record, source=None, group_key=record.record_id, state=RecordState.UNKNOWN_KIND,
            reason=f"no source reads records of kind {record.kind}",
        )  # fmt: skip
    if record.content is None:
        return Inspected(
            record=record, source=source.name, group_key=record.record_id, state=RecordState.ERASED,
        )  # fmt: skip
    try:
        said = read_record(record.kind, record.content)
    except Misfit as misfit:
        return Inspected(
            record=record, source=source.name, group_key=record.record_id, state=RecordState.REFUSED, reason=str(misfit)
        )
    claim = said.claim
    return Inspected(
        record=record,
        source=source.name,
        group_key=said.group_of(record.record_id),
        state=RecordState.FITS,
        claim=(claim[0], claim_of(claim[1])) if claim else None,
    )

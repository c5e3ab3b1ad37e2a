"""Requests come in, are taken for building, and end without a version if none can be made of them or none is wanted."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from dataset_svc.domain.deletions import Doomed, ObjectKind
from dataset_svc.domain.requests import Purpose, RequestState, VersionRequest
from dataset_svc.store import deletions, requests
from dataset_svc.store.tables import RequestRow
from loopwright.contracts.base import Artifact
from loopwright.contracts.datasets import DatasetRejected
from loopwright.unit_of_work import Work


async def record_request(unit: Work, request: VersionRequest) -> bool:
    """Queues a request; asking twice with one id is asking once.

    Returns:
        Whether it is new.
    """
    return await requests.add(unit.session, request)


async def take_due_request(unit: Work, *, now: datetime, attempts_allowed: int) -> VersionRequest | None:
    """The request that has waited longest, with this attempt counted.

    The count survives a crash of the whole process, so a source that kills its builder is given up in the end.
    """
    row = await requests.find_due(unit.session, now)
    if row is None:
        return None
    if row.attempts >= attempts_allowed:
        await _end_rejected(unit, row, reasons=(f"given up after {row.attempts} attempts to build it",), now=now)
        return None
    row.attempts += 1
    return requests.as_request(row)


async def give_back_request(unit: Work, request_id: str) -> None:
    """Takes back the count of an attempt that failed through no fault of the request."""
    row = await requests.find_pending(unit.session, request_id)
    if row is not None:
        row.attempts -= 1


async def note_progress(unit: Work, request_id: str, records_read: int) -> None:
    """Notes how far a build is."""
    row = await requests.find_pending(unit.session, request_id)
    if row is not None:
        row.records_read = records_read


async def postpone_request(unit: Work, request_id: str, *, now: datetime) -> None:
    """Lets others go first after a failed attempt; the wait doubles, up to five minutes."""
    row = await requests.find_pending(unit.session, request_id)
    if row is not None:
        row.next_attempt_at = now + min(timedelta(seconds=2**row.attempts), timedelta(minutes=5))


async def reject_request(
    unit: Work, request_id: str, *, reasons: Sequence[str], now: datetime, report: Artifact | None = None
) -> bool:
    """Ends a request without a version.

    Returns:
        Whether it was still pending.
    """
    row = await requests.find_pending(unit.session, request_id)
    if row is None:
        return False
    await _end_rejected(unit, row, reasons=reasons, now=now, report=report)
    return True


async def end_dry_run(unit: Work, request_id: str, *, report: Artifact, now: datetime) -> bool:
    """Ends a request that was to become a report only; nobody is told, for nothing came of it.

    Returns:
        Whether it was still pending.
    """
    row = await requests.find_pending(unit.session, request_id)
    if row is None:
        return False
    row.state, row.report, row.finished_at = RequestState.VALIDATED, report, now
    await _forget_source(unit, row)
    return True


async def _forget_source(unit: Work, row: RequestRow) -> None:
    """Nothing will lead to the source of a dry run, not even an erasure: no version holds its samples."""
    doomed = Doomed(uri=row.source.uri, kind=ObjectKind.SOURCE)
    await deletions.queue(unit.session, [doomed], reason="source of a dry run that ended")


async def keep_rejects(unit: Work, request_id: str, rejects: Artifact) -> None:
    """Remembers where the bad records of a source are kept; a later attempt finds the same ones."""
    row = await requests.find_pending(unit.session, request_id)
    if row is not None:
        row.rejects = rejects


async def _end_rejected(
    unit: Work, row: RequestRow, *, reasons: Sequence[str], now: datetime, report: Artifact | None = None
) -> None:
    row.state = RequestState.REJECTED
    row.rejected_because = list(reasons)
    row.report = report
    row.finished_at = now
    if row.purpose == Purpose.DRY_RUN:
        await _forget_source(unit, row)
        return
    unit.announce(
        DatasetRejected(
            request_id=row.request_id,
            task_id=row.task_id,
            dataset_name=row.dataset_name,
            reasons=tuple(reasons),
            rejected_at=now,
        )
    )

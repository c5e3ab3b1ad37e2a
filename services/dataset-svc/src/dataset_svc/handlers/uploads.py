"""Uploads in pieces begin, grow, and become requests; or are begun again, or expire."""

from collections.abc import Sequence
from datetime import datetime

from dataset_svc.domain.deletions import Doomed, ObjectKind
from dataset_svc.domain.requests import Origin, VersionRequest
from dataset_svc.domain.sources.uploads import (
    Piece,
    Upload,
    UploadRules,
    UploadState,
    check_offset,
    check_receiving,
)
from dataset_svc.handlers.requests import record_request
from dataset_svc.store import deletions, uploads
from loopwright.contracts.base import Artifact
from loopwright.errors import Conflict
from loopwright.unit_of_work import Work

_EXPIRED_AT_ONCE = 100


async def begin_upload(unit: Work, upload: Upload) -> None:
    uploads.add(unit.session, upload)


async def load_upload(unit: Work, upload_id: str) -> tuple[Upload, tuple[Piece, ...]]:
    """An upload with its pieces in order.

    Raises:
        NotFound: there is none with that id.
    """
    row = await uploads.get_locked(unit.session, upload_id)
    return uploads.as_upload(row), await uploads.list_pieces(unit.session, upload_id)


async def add_pieces(
    unit: Work, upload_id: str, pieces: Sequence[Piece], *, rules: UploadRules, now: datetime
) -> Upload:
    """Pieces that are in storage become part of the upload.

    Raises:
        Conflict: somebody else sent the same bytes first, or it is complete.
        Expired: it waited too long.
    """
    row = await uploads.get_locked(unit.session, upload_id)
    upload = uploads.as_upload(row)
    check_receiving(upload, rules, now=now)
    if pieces:
        check_offset(upload, pieces[0].first_byte)
        uploads.add_pieces(unit.session, upload_id, pieces)
        row.received_bytes += sum(piece.artifact.size_bytes for piece in pieces)
    row.touched_at = now
    return uploads.as_upload(row)


async def complete_upload(
    unit: Work, upload_id: str, source: Artifact, *, traceparent: str | None, now: datetime
) -> Upload:
    """The whole file is in storage: its request is queued. Doing it again changes nothing."""
    row = await uploads.get_locked(unit.session, upload_id)
    upload = uploads.as_upload(row)
    if upload.state is UploadState.COMPLETE:
        return upload
    if (source.sha256, source.size_bytes) != (upload.sha256, upload.size_bytes):
        raise Conflict("upload.changed", "the upload was begun again meanwhile", upload_id=upload_id)
    request = _request_of(upload, source, traceparent=traceparent, now=now)
    await record_request(unit, request)
    row.state = UploadState.COMPLETE
    row.request_id = request.request_id
    await _forget_pieces(unit, upload_id, reason="the upload is complete")
    return uploads.as_upload(row)


async def restart_upload(unit: Work, upload_id: str, *, now: datetime) -> None:
    """Forgets all pieces, for together they were not the file that was promised."""
    row = await uploads.get_locked(unit.session, upload_id)
    if row.state == UploadState.RECEIVING:
        await _forget_pieces(unit, upload_id, reason="the upload was not what was promised")
        row.received_bytes = 0
        row.touched_at = now


async def expire_uploads(unit: Work, rules: UploadRules, *, now: datetime) -> int:
    """Ends uploads that nobody goes on with.

    Returns:
        How many.
    """
    rows = await uploads.list_abandoned(unit.session, now - rules.time_to_live, limit=_EXPIRED_AT_ONCE)
    for row in rows:
        await _forget_pieces(unit, row.upload_id, reason="the upload expired")
        row.state = UploadState.EXPIRED
    return len(rows)


async def discard_pieces(unit: Work, pieces: Sequence[Piece]) -> None:
    """Pieces that are in storage and became part of no upload go from there."""
    await _doom(unit, [piece.artifact for piece in pieces], reason="the piece did not count")


async def _forget_pieces(unit: Work, upload_id: str, *, reason: str) -> None:
    await _doom(unit, await uploads.forget_pieces(unit.session, upload_id), reason=reason)


async def _doom(unit: Work, artifacts: Sequence[Artifact], *, reason: str) -> None:
    doomed = [Doomed(uri=artifact.uri, kind=ObjectKind.PIECE) for artifact in artifacts]
    await deletions.queue(unit.session, doomed, reason=reason)


def _request_of(upload: Upload, source: Artifact, *, traceparent: str | None, now: datetime) -> VersionRequest:
    return VersionRequest(
        request_id=f"upload-{upload.upload_id}",
        task_id=upload.task_id,
        dataset_name=upload.dataset_name,
        description=upload.description,
        origin=Origin.UPLOAD,
        requested_by=upload.created_by,
        requested_at=now,
        reason="upload",
        source=source,
        sample_count=None,
        policy=upload.policy,
        traceparent=traceparent,
        source_name=upload.filename,
        mapping=upload.mapping,
    )

"""Uploads in pieces, and the pieces that they have so far."""

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from dataset_svc.domain.sources.uploads import Piece, Upload, UploadState
from dataset_svc.store.tables import MappingDocument, UploadPieceRow, UploadRow
from loopwright.contracts.base import Artifact
from loopwright.errors import NotFound


def add(session: AsyncSession, upload: Upload) -> None:
    session.add(
        UploadRow(
            upload_id=upload.upload_id,
            filename=upload.filename,
            size_bytes=upload.size_bytes,
            sha256=upload.sha256,
            task_id=upload.task_id,
            dataset_name=upload.dataset_name,
            description=upload.description,
            data_policy=upload.policy,
            mapping=None if upload.mapping is None else MappingDocument(upload.mapping),
            state=upload.state,
            received_bytes=upload.received_bytes,
            created_by=upload.created_by,
            created_at=upload.created_at,
            touched_at=upload.touched_at,
            request_id=upload.request_id,
        )
    )


async def get_locked(session: AsyncSession, upload_id: str) -> UploadRow:
    """Locks an upload, so that its pieces come one after the other.

    Raises:
        NotFound: there is none with that id.
    """
    statement = sa.select(UploadRow).where(UploadRow.upload_id == upload_id).with_for_update()
    row = (await session.execute(statement)).scalar_one_or_none()
    if row is None:
        raise NotFound("upload.not-found", "there is no such upload", upload_id=upload_id)
    return row


def add_pieces(session: AsyncSession, upload_id: str, pieces: Sequence[Piece]) -> None:
    session.add_all(
        UploadPieceRow(upload_id=upload_id, first_byte=piece.first_byte, artifact=piece.artifact) for piece in pieces
    )


async def list_pieces(session: AsyncSession, upload_id: str) -> tuple[Piece, ...]:
    statement = (
        sa.select(UploadPieceRow).where(UploadPieceRow.upload_id == upload_id).order_by(UploadPieceRow.first_byte)
    )
    rows = (await session.execute(statement)).scalars()
    return tuple(Piece(first_byte=row.first_byte, artifact=row.artifact) for row in rows)


async def forget_pieces(session: AsyncSession, upload_id: str) -> Sequence[Artifact]:
    """Forgets all pieces of an upload.

    Returns:
        What lies in storage of them.
    """
    statement = sa.delete(UploadPieceRow).where(UploadPieceRow.upload_id == upload_id)
    return (await session.execute(statement.returning(UploadPieceRow.artifact))).scalars().all()


async def list_abandoned(session: AsyncSession, before: datetime, *, limit: int) -> Sequence[UploadRow]:
    """Locks uploads that got no piece since a moment, longest ago first; passes over those that others hold."""
    statement = (
        sa.select(UploadRow)
        .where(UploadRow.state == UploadState.RECEIVING, UploadRow.touched_at < before)
        .order_by(UploadRow.touched_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return (await session.execute(statement)).scalars().all()


def as_upload(row: UploadRow) -> Upload:
    return Upload(
        upload_id=row.upload_id,
        filename=row.filename,
        size_bytes=row.size_bytes,
        sha256=row.sha256,
        task_id=row.task_id,
        dataset_name=row.dataset_name,
        description=row.description,
        policy=row.data_policy,
        mapping=None if row.mapping is None else row.mapping.root,
        state=UploadState(row.state),
        received_bytes=row.received_bytes,
        created_by=row.created_by,
        created_at=row.created_at,
        touched_at=row.touched_at,
        request_id=row.request_id,
    )

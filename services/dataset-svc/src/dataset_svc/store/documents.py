"""Documents: their text, and nothing else of the file."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import undefer

from dataset_svc.domain.texts.documents import DocumentText
from dataset_svc.store.knowledge_tables import DocumentRow, EntryRow
from loopwright.errors import NotFound
from loopwright.sealed_columns import ColumnOpener


@dataclass(frozen=True, kw_only=True)
class Naming:
    """What a document is called: its file, and its first heading or line."""

    name: str
    title: str


async def get(session: AsyncSession, document_id: str) -> DocumentRow:
    """A document without its text.

    Raises:
        NotFound: there is none with that id.
    """
    row = await session.get(DocumentRow, document_id)
    if row is None:
        raise NotFound("document.not-found", "there is no such document", document_id=document_id)
    return row


async def get_text(session: AsyncSession, document_id: str) -> DocumentText:
    """A document's text, headings and pages.

    Raises:
        NotFound: there is none with that id.
    """
    row = await session.get(DocumentRow, document_id, options=(undefer(DocumentRow.content),), populate_existing=True)
    if row is None:
        raise NotFound("document.not-found", "there is no such document", document_id=document_id)
    content = await ColumnOpener(session, DocumentRow.__tablename__).open(row.content)
    return msgspec.json.decode(content, type=DocumentText)


async def list_namings(session: AsyncSession, rows: Sequence[DocumentRow]) -> list[Naming]:
    """What each of these documents is called."""
    opener = ColumnOpener(session, DocumentRow.__tablename__)
    names = await opener.open_all([row.name for row in rows])
    titles = await opener.open_all([row.title for row in rows])
    return [Naming(name=name.decode(), title=title.decode()) for name, title in zip(names, titles, strict=True)]


async def delete(session: AsyncSession, document_id: str) -> bool:
    """Deletes a document with its generations, and its entries in every version of every knowledge base.

    Returns:
        Whether there was one.
    """
    await session.execute(sa.delete(EntryRow).where(EntryRow.document_id == document_id))
    deleted = sa.delete(DocumentRow).where(DocumentRow.document_id == document_id).returning(DocumentRow.document_id)
    return (await session.execute(deleted)).scalar_one_or_none() is not None

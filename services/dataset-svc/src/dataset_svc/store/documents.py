"""Documents: their text, and nothing else of the file."""

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import undefer

from dataset_svc.domain.texts.documents import DocumentText
from dataset_svc.store.knowledge_tables import DocumentRow, EntryRow
from loopwright.errors import NotFound


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
    whole = (undefer(DocumentRow.text), undefer(DocumentRow.headings), undefer(DocumentRow.page_starts))
    row = await session.get(DocumentRow, document_id, options=whole, populate_existing=True)
    if row is None:
        raise NotFound("document.not-found", "there is no such document", document_id=document_id)
    return DocumentText(text=row.text, headings=row.headings, page_starts=tuple(row.page_starts))


async def delete(session: AsyncSession, document_id: str) -> bool:
    """Deletes a document with its generations, and its entries in every version of every knowledge base.

    Returns:
        Whether there was one.
    """
    await session.execute(sa.delete(EntryRow).where(EntryRow.document_id == document_id))
    deleted = sa.delete(DocumentRow).where(DocumentRow.document_id == document_id).returning(DocumentRow.document_id)
    return (await session.execute(deleted)).scalar_one_or_none() is not None

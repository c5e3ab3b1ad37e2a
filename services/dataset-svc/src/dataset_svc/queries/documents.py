"""Documents and generations as readers see them."""

from datetime import datetime

import sqlalchemy as sa
from pydantic import Field

from dataset_svc.domain.texts.documents import DocumentFormat
from dataset_svc.domain.texts.generated_pairs import Template
from dataset_svc.domain.texts.generations import GenerationState
from dataset_svc.queries.pages import View, read_page, read_rows
from dataset_svc.store import documents
from dataset_svc.store.documents import Naming
from dataset_svc.store.knowledge_tables import DocumentRow, GenerationRow
from loopwright.contracts.base import Artifact
from loopwright.errors import NotFound
from loopwright.pages import Page, Window
from loopwright.unit_of_work import Work


class DocumentView(View):
    """A document."""

    document_id: str
    name: str = Field(description="file name")
    title: str = Field(description="first heading, else the first line")
    format: DocumentFormat
    size_bytes: int = Field(description="of the file, which is not kept")
    sha256: str = Field(description="of the file")
    chars: int = Field(description="length of its text")
    pages: int | None = Field(description="none where the format has no pages")
    uploaded_by: str
    uploaded_at: datetime


class HeadingView(View):
    """A heading of a document."""

    level: int
    title: str
    start: int = Field(description="offset in the text, in characters")


class DocumentDetails(DocumentView):
    """A document with its headings."""

    headings: tuple[HeadingView, ...]


class GenerationView(View):
    """Work on samples from a document."""

    generation_id: str
    document_id: str
    template: Template
    pairs_wanted: int
    min_score_0_1: float
    model: str
    task_id: str
    dataset_name: str
    requested_by: str
    requested_at: datetime
    state: GenerationState
    attempts: int = Field(description="times that a worker took it")
    chunks_total: int = Field(description="chunks that the model is asked about")
    chunks_done: int
    pairs_kept: int = Field(description="so far; fewer at the end, when like ones went")
    refused: dict[str, int] = Field(description="pairs or answers that were left out, by reason")
    failed_because: str | None
    source: Artifact | None = Field(description="the samples as JSON Lines, with their provenance")
    request_id: str | None = Field(description="request for the version that the samples become")
    finished_at: datetime | None


async def list_documents(unit: Work, window: Window) -> Page[DocumentView]:
    statement = sa.select(DocumentRow).order_by(DocumentRow.uploaded_at.desc(), DocumentRow.document_id)
    rows, total = await read_rows(unit.session, statement, window)
    namings = await documents.list_namings(unit.session, rows)
    items = tuple(_view_of(row, naming) for row, naming in zip(rows, namings, strict=True))
    return Page[DocumentView](items=items, total=total, limit=window.limit, offset=window.offset)


def _view_of(row: DocumentRow, naming: Naming) -> DocumentView:
    return DocumentView(
        document_id=row.document_id,
        name=naming.name,
        title=naming.title,
        format=DocumentFormat(row.format),
        size_bytes=row.size_bytes,
        sha256=row.sha256,
        chars=row.chars,
        pages=row.pages,
        uploaded_by=row.uploaded_by,
        uploaded_at=row.uploaded_at,
    )


async def read_document(unit: Work, document_id: str) -> DocumentDetails:
    """One document.

    Raises:
        NotFound: there is none with that id.
    """
    row = await documents.get(unit.session, document_id)
    [naming] = await documents.list_namings(unit.session, [row])
    text = await documents.get_text(unit.session, document_id)
    headings = tuple(HeadingView.model_validate(heading) for heading in text.headings)
    return DocumentDetails(**_view_of(row, naming).model_dump(), headings=headings)


async def list_generations(
    unit: Work, window: Window, *, document_id: str | None, state: GenerationState | None
) -> Page[GenerationView]:
    statement = sa.select(GenerationRow).order_by(GenerationRow.requested_at.desc(), GenerationRow.generation_id)
    if document_id is not None:
        statement = statement.where(GenerationRow.document_id == document_id)
    if state is not None:
        statement = statement.where(GenerationRow.state == state)
    return await read_page(unit.session, statement, window, GenerationView)


async def read_generation(unit: Work, generation_id: str) -> GenerationView:
    """One generation.

    Raises:
        NotFound: there is none with that id.
    """
    row = await unit.session.get(GenerationRow, generation_id)
    if row is None:
        raise NotFound("generation.not-found", "there is no such generation", generation_id=generation_id)
    return GenerationView.model_validate(row)

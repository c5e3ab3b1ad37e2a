"""Documents come and go; samples are asked for from them."""

from dataclasses import dataclass
from datetime import datetime

import msgspec

from dataset_svc.domain.texts.chunks import ChunkRules, cut
from dataset_svc.domain.texts.documents import DocumentFormat, DocumentText
from dataset_svc.domain.texts.generated_pairs import Template
from dataset_svc.domain.texts.generations import GenerationState, spread
from dataset_svc.store import documents
from dataset_svc.store.knowledge_tables import DocumentRow, GenerationChunkRow, GenerationRow
from loopwright.contracts.tasks import DataPolicy
from loopwright.errors import NotFound
from loopwright.sealed_columns import sealer_for
from loopwright.unit_of_work import Work


@dataclass(frozen=True, kw_only=True)
class UploadedDocument:
    """A document that was read.

    Attributes:
        sha256: Of the file.
    """

    document_id: str
    name: str
    format: DocumentFormat
    size_bytes: int
    sha256: str
    text: DocumentText
    uploaded_by: str
    uploaded_at: datetime


@dataclass(frozen=True, kw_only=True)
class GenerationWish:
    """What samples somebody wants from a document."""

    generation_id: str
    document_id: str
    template: Template
    pairs: int
    min_score_0_1: float
    chunks: ChunkRules
    model: str
    task_id: str
    dataset_name: str
    policy: DataPolicy
    requested_by: str
    requested_at: datetime
    traceparent: str | None


async def add_document(unit: Work, document: UploadedDocument) -> None:
    sealer = await sealer_for(unit.session, DocumentRow.__tablename__)
    unit.session.add(
        DocumentRow(
            document_id=document.document_id,
            name=sealer.seal(document.name.encode()),
            title=sealer.seal(document.text.title.encode()),
            format=document.format,
            size_bytes=document.size_bytes,
            sha256=document.sha256,
            chars=len(document.text.text),
            pages=len(document.text.page_starts) or None,
            content=sealer.seal(msgspec.json.encode(document.text)),
            uploaded_by=document.uploaded_by,
            uploaded_at=document.uploaded_at,
        )
    )


async def delete_document(unit: Work, document_id: str) -> None:
    """Deletes a document, the work on it, and its entries in knowledge bases; samples made from it stay.

    Raises:
        NotFound: there is no such document.
    """
    if not await documents.delete(unit.session, document_id):
        raise NotFound("document.not-found", "there is no such document", document_id=document_id)


async def queue_generation(unit: Work, wish: GenerationWish) -> None:
    """Plans which chunks are asked for how many pairs, and queues the work.

    Raises:
        NotFound: there is no such document.
    """
    chunks = cut(await documents.get_text(unit.session, wish.document_id), wish.chunks)
    plan = spread(wish.pairs, len(chunks))
    unit.session.add(_row_of(wish, chunks_total=len(plan)))
    await unit.session.flush()
    sealer = await sealer_for(unit.session, GenerationChunkRow.__tablename__)
    for number, wanted in plan:
        chunk = chunks[number]
        unit.session.add(
            GenerationChunkRow(
                generation_id=wish.generation_id,
                number=chunk.number,
                start=chunk.start,
                end=chunk.end,
                page=chunk.page,
                headings=sealer.seal(msgspec.json.encode(chunk.headings)),
                wanted=wanted,
                done=False,
                failures=0,
                refused={},
            )
        )


def _row_of(wish: GenerationWish, *, chunks_total: int) -> GenerationRow:
    return GenerationRow(
        generation_id=wish.generation_id,
        document_id=wish.document_id,
        template=wish.template,
        pairs_wanted=wish.pairs,
        min_score_0_1=wish.min_score_0_1,
        model=wish.model,
        task_id=wish.task_id,
        dataset_name=wish.dataset_name,
        policy=wish.policy,
        requested_by=wish.requested_by,
        requested_at=wish.requested_at,
        traceparent=wish.traceparent,
        state=GenerationState.QUEUED,
        attempts=0,
        barren_attempts=0,
        next_attempt_at=wish.requested_at,
        chunks_total=chunks_total,
        chunks_done=0,
        pairs_kept=0,
        refused={},
    )

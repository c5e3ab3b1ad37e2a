"""Knowledge bases are made, grow by versions, and go."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.dialects.postgresql import insert

from dataset_svc.domain.texts.chunks import Chunk, ChunkRules, cut
from dataset_svc.domain.texts.documents import DocumentText
from dataset_svc.domain.texts.retrieval import Method, Quality
from dataset_svc.handlers.knowledge_entries import Record
from dataset_svc.store import documents, knowledge
from dataset_svc.store.knowledge import PreparedEntry
from dataset_svc.store.knowledge_tables import EvaluationRow, IndexRow, IndexVersionRow
from loopwright.contracts.base import JsonObject
from loopwright.errors import Conflict, Invalid
from loopwright.unit_of_work import Work

MOST_ENTRIES = 100_000
MOST_CHUNKS_AT_ONCE = 500  # what the analyser does in about ten seconds


@dataclass(frozen=True, kw_only=True)
class NewIndex:
    """A knowledge base to be made.

    Attributes:
        masked: Whether personal data is masked in whatever is added.
        embedding: Name of what makes its vectors, for good.
    """

    index_id: str
    name: str
    description: str
    masked: bool
    embedding: str
    created_by: str
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class Addition:
    """What makes the next version: entries that come, records that go."""

    entries: Sequence[PreparedEntry]
    removed: Collection[str]
    replaced_documents: Collection[str]
    by: str
    at: datetime


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """How good retrieval from a version was, by method."""

    evaluation_id: str
    index_id: str
    version: int
    queries: int
    results: Mapping[Method, Quality]
    by: str
    at: datetime


async def create_index(unit: Work, wish: NewIndex) -> None:
    """Makes an empty knowledge base, version 0.

    Raises:
        Conflict: the name is taken.
    """
    values = {
        "index_id": wish.index_id,
        "name": wish.name,
        "description": wish.description,
        "masked": wish.masked,
        "embedding": wish.embedding,
        "version": 0,
        "created_by": wish.created_by,
        "created_at": wish.created_at,
    }
    statement = insert(IndexRow).values(values).on_conflict_do_nothing().returning(IndexRow.index_id)
    if (await unit.session.execute(statement)).scalar_one_or_none() is None:
        raise Conflict("knowledge.name-taken", "there is an index of that name", name=wish.name)


async def delete_index(unit: Work, index_id: str) -> None:
    """Deletes a knowledge base with all of its versions.

    Raises:
        NotFound: there is no such index.
    """
    await unit.session.delete(await knowledge.get_index(unit.session, index_id, for_change=True))


async def read_chunks(unit: Work, document_ids: Sequence[str], rules: ChunkRules) -> tuple[Record, ...]:
    """The chunks of documents as records named `<document>:<chunk>`.

    Raises:
        NotFound: there is no such document.
        Invalid: they have more chunks together than are added at once.
    """
    records: list[Record] = []
    for document_id in document_ids:
        document = await documents.get_text(unit.session, document_id)
        records += [_record_of(document_id, document, chunk) for chunk in cut(document, rules)]
        if len(records) > MOST_CHUNKS_AT_ONCE:
            detail = f"the documents have more than {MOST_CHUNKS_AT_ONCE} chunks: add fewer at once, or larger chunks"
            raise Invalid("knowledge.too-many-chunks", detail, limit=MOST_CHUNKS_AT_ONCE)
    return tuple(records)


def _record_of(document_id: str, document: DocumentText, chunk: Chunk) -> Record:
    return Record(
        record_id=f"{document_id}:{chunk.number}",
        title=" > ".join(chunk.headings) or document.title,
        text=document.text[chunk.start : chunk.end],
        facts={} if chunk.page is None else {"page": chunk.page},
        document_id=document_id,
        start=chunk.start,
        end=chunk.end,
    )


async def add_version(unit: Work, index_id: str, addition: Addition) -> int:
    """Makes the next version; earlier ones stay as they are.

    Returns:
        Its number.

    Raises:
        NotFound: there is no such index.
        Conflict: it would hold more entries than an index may.
    """
    session = unit.session
    index = await knowledge.get_index(session, index_id, for_change=True)
    index.version += 1
    replaced = await knowledge.list_record_ids(session, index_id, addition.replaced_documents)
    leaving = {*addition.removed, *replaced, *(entry.record_id for entry in addition.entries)}
    retired = await knowledge.retire(session, index_id, leaving, version=index.version)
    vectors = await knowledge.has_vectors(session)
    await knowledge.add_entries(session, index_id, addition.entries, version=index.version, vectors=vectors)
    entries = await knowledge.count_live(session, index_id)
    if entries > MOST_ENTRIES:
        raise Conflict("knowledge.index-full", f"an index holds at most {MOST_ENTRIES} entries", limit=MOST_ENTRIES)
    session.add(
        IndexVersionRow(
            index_id=index_id,
            number=index.version,
            entries=entries,
            added=len(addition.entries),
            retired=retired,
            created_by=addition.by,
            created_at=addition.at,
        )
    )
    return index.version


async def record_evaluation(unit: Work, evaluation: Evaluation) -> None:
    """Keeps what was measured.

    Raises:
        NotFound: the index is gone by now.
    """
    await knowledge.get_index(unit.session, evaluation.index_id, for_change=True)
    results = {method: _as_json(quality) for method, quality in evaluation.results.items()}
    unit.session.add(
        EvaluationRow(
            evaluation_id=evaluation.evaluation_id,
            index_id=evaluation.index_id,
            version=evaluation.version,
            queries=evaluation.queries,
            results=results,
            created_by=evaluation.by,
            created_at=evaluation.at,
        )
    )


def _as_json(quality: Quality) -> JsonObject:
    return {
        "recall_at": {str(k): round(share, 6) for k, share in quality.recall.items()},
        "mrr": round(quality.mrr, 6),
        "ndcg_at": {str(k): round(gain, 6) for k, gain in quality.ndcg.items()},
    }

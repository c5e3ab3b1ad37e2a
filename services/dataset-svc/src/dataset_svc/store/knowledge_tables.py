"""Tables of documents, generations and knowledge bases, in the schema `dataset`."""

from datetime import datetime

import sqlalchemy as sa
from pgvector.sqlalchemy import Vector
from sqlalchemy.dialects.postgresql import JSONB, TSVECTOR
from sqlalchemy.orm import Mapped, mapped_column

from dataset_svc.domain.texts.retrieval import Fact
from dataset_svc.store.tables import Base
from loopwright.contracts.base import Artifact, JsonObject
from loopwright.contracts.tasks import DataPolicy
from loopwright.database import AsJson

_Time = sa.DateTime(timezone=True)


class DocumentRow(Base):
    """The text of a document, sealed; the file itself is not kept."""

    __tablename__ = "documents"

    document_id: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    name: Mapped[bytes] = mapped_column(sa.LargeBinary)
    title: Mapped[bytes] = mapped_column(sa.LargeBinary)
    format: Mapped[str] = mapped_column(sa.Text)
    size_bytes: Mapped[int] = mapped_column(sa.BigInteger)
    sha256: Mapped[str] = mapped_column(sa.Text)
    chars: Mapped[int] = mapped_column(sa.Integer)
    pages: Mapped[int | None] = mapped_column(sa.Integer)
    content: Mapped[bytes] = mapped_column(sa.LargeBinary, deferred=True, deferred_raiseload=True)
    uploaded_by: Mapped[str] = mapped_column(sa.Text)
    uploaded_at: Mapped[datetime] = mapped_column(_Time, index=True)


class GenerationRow(Base):
    """Somebody wants samples from a document: the queue of that work, and its history."""

    __tablename__ = "generations"
    __table_args__ = (
        sa.Index("ix_generations_due", "next_attempt_at", postgresql_where=sa.text("state IN ('queued', 'running')")),
    )

    generation_id: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    document_id: Mapped[str] = mapped_column(
        sa.ForeignKey("dataset.documents.document_id", ondelete="CASCADE"), index=True
    )
    template: Mapped[str] = mapped_column(sa.Text)
    pairs_wanted: Mapped[int] = mapped_column(sa.Integer)
    min_score_0_1: Mapped[float] = mapped_column(sa.Double)
    model: Mapped[str] = mapped_column(sa.Text)
    task_id: Mapped[str] = mapped_column(sa.Text)
    dataset_name: Mapped[str] = mapped_column(sa.Text)
    policy: Mapped[DataPolicy] = mapped_column(AsJson(DataPolicy))
    requested_by: Mapped[str] = mapped_column(sa.Text)
    requested_at: Mapped[datetime] = mapped_column(_Time)
    traceparent: Mapped[str | None] = mapped_column(sa.Text)
    state: Mapped[str] = mapped_column(sa.Text)
    attempts: Mapped[int] = mapped_column(sa.Integer)
    barren_attempts: Mapped[int] = mapped_column(sa.Integer)
    next_attempt_at: Mapped[datetime] = mapped_column(_Time)
    chunks_total: Mapped[int] = mapped_column(sa.Integer)
    chunks_done: Mapped[int] = mapped_column(sa.Integer)
    pairs_kept: Mapped[int] = mapped_column(sa.Integer)
    refused: Mapped[dict[str, int]] = mapped_column(JSONB)
    failed_because: Mapped[str | None] = mapped_column(sa.Text)
    source: Mapped[Artifact | None] = mapped_column(AsJson(Artifact))
    request_id: Mapped[str | None] = mapped_column(sa.Text)
    finished_at: Mapped[datetime | None] = mapped_column(_Time)


class GenerationChunkRow(Base):
    """A chunk that the model is asked about, and what came of it; its headings and pairs are sealed."""

    __tablename__ = "generation_chunks"

    generation_id: Mapped[str] = mapped_column(
        sa.ForeignKey("dataset.generations.generation_id", ondelete="CASCADE"), primary_key=True
    )
    number: Mapped[int] = mapped_column(sa.Integer, primary_key=True)
    start: Mapped[int] = mapped_column(sa.Integer)
    end: Mapped[int] = mapped_column(sa.Integer)
    page: Mapped[int | None] = mapped_column(sa.Integer)
    headings: Mapped[bytes] = mapped_column(sa.LargeBinary)
    wanted: Mapped[int] = mapped_column(sa.Integer)
    done: Mapped[bool] = mapped_column(sa.Boolean)
    failures: Mapped[int] = mapped_column(sa.Integer)
    pairs: Mapped[bytes | None] = mapped_column(sa.LargeBinary)
    refused: Mapped[dict[str, int]] = mapped_column(JSONB)


class IndexRow(Base):
    """A knowledge base: entries that are searched together."""

    __tablename__ = "knowledge_indexes"

    index_id: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    name: Mapped[str] = mapped_column(sa.Text, unique=True)
    description: Mapped[str] = mapped_column(sa.Text)
    masked: Mapped[bool] = mapped_column(sa.Boolean)
    embedding: Mapped[str] = mapped_column(sa.Text)
    version: Mapped[int] = mapped_column(sa.Integer)
    created_by: Mapped[str] = mapped_column(sa.Text)
    created_at: Mapped[datetime] = mapped_column(_Time)


class IndexVersionRow(Base):
    """A version of a knowledge base; it stays searchable."""

    __tablename__ = "knowledge_versions"

    index_id: Mapped[str] = mapped_column(
        sa.ForeignKey("dataset.knowledge_indexes.index_id", ondelete="CASCADE"), primary_key=True
    )
    number: Mapped[int] = mapped_column(sa.Integer, primary_key=True)
    entries: Mapped[int] = mapped_column(sa.Integer)
    added: Mapped[int] = mapped_column(sa.Integer)
    retired: Mapped[int] = mapped_column(sa.Integer)
    created_by: Mapped[str] = mapped_column(sa.Text)
    created_at: Mapped[datetime] = mapped_column(_Time)


class EntryRow(Base):
    """A record as of some versions: from `valid_from` on, up to but without `valid_to`; its title and text are sealed."""

    __tablename__ = "knowledge_entries"
    __table_args__ = (
        sa.Index(
            "ix_knowledge_entries_live", "index_id", "record_id", unique=True,
            postgresql_where=sa.text("valid_to IS NULL"),
        ),
        sa.Index("ix_knowledge_entries_terms", "terms", postgresql_using="gin"),
    )  # fmt: skip

    entry_id: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    index_id: Mapped[str] = mapped_column(
        sa.ForeignKey("dataset.knowledge_indexes.index_id", ondelete="CASCADE"), index=True
    )
    record_id: Mapped[str] = mapped_column(sa.Text)
    valid_from: Mapped[int] = mapped_column(sa.Integer)
    valid_to: Mapped[int | None] = mapped_column(sa.Integer)
    title: Mapped[bytes] = mapped_column(sa.LargeBinary)
    text: Mapped[bytes] = mapped_column(sa.LargeBinary)
    facts: Mapped[dict[str, Fact]] = mapped_column("metadata", JSONB)
    document_id: Mapped[str | None] = mapped_column(sa.Text, index=True)
    start: Mapped[int | None] = mapped_column(sa.Integer)
    end: Mapped[int | None] = mapped_column(sa.Integer)
    terms: Mapped[str] = mapped_column(TSVECTOR, deferred=True, deferred_raiseload=True)
    terms_count: Mapped[int] = mapped_column(sa.Integer)


class VectorRow(Base):
    """The vector of an entry; the table is absent where PostgreSQL has no pgvector."""

    __tablename__ = "knowledge_vectors"

    entry_id: Mapped[str] = mapped_column(
        sa.ForeignKey("dataset.knowledge_entries.entry_id", ondelete="CASCADE"), primary_key=True
    )
    embedding: Mapped[list[float]] = mapped_column(Vector())


class EvaluationRow(Base):
    """How good retrieval from a version was on labelled queries."""

    __tablename__ = "knowledge_evaluations"

    evaluation_id: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    index_id: Mapped[str] = mapped_column(
        sa.ForeignKey("dataset.knowledge_indexes.index_id", ondelete="CASCADE"), index=True
    )
    version: Mapped[int] = mapped_column(sa.Integer)
    queries: Mapped[int] = mapped_column(sa.Integer)
    results: Mapped[dict[str, JsonObject]] = mapped_column(JSONB)
    created_by: Mapped[str] = mapped_column(sa.Text)
    created_at: Mapped[datetime] = mapped_column(_Time)

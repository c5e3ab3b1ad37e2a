"""Documents, generations of samples from them, and knowledge bases with versions, terms and vectors."""

import sqlalchemy as sa
from alembic import op
from pgvector.sqlalchemy import Vector
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TSVECTOR
from sqlalchemy.exc import DBAPIError

revision = "dataset_0004"
down_revision = "dataset_0003"
branch_labels = None
depends_on = None

SCHEMA = "dataset"
_TABLES = (
    "knowledge_evaluations", "knowledge_vectors", "knowledge_entries", "knowledge_versions", "knowledge_indexes",
    "generation_chunks", "generations", "documents",
)  # fmt: skip


def upgrade() -> None:
    _create_documents()
    _create_generations()
    _create_indexes()
    _create_entries()
    if _has_vectors():
        op.create_table(
            "knowledge_vectors",
            sa.Column("entry_id", sa.Text, _child_of("knowledge_entries.entry_id"), primary_key=True),
            sa.Column("embedding", Vector(), nullable=False),
            schema=SCHEMA,
        )


def downgrade() -> None:
    for table in _TABLES:
        op.execute(f'DROP TABLE IF EXISTS {SCHEMA}."{table}"')


def _child_of(column: str) -> sa.ForeignKey:
    return sa.ForeignKey(f"{SCHEMA}.{column}", ondelete="CASCADE")


def _has_vectors() -> bool:
    """Whether pgvector is in this database, or can be put there; without it search is by text alone."""
    connection = op.get_bind()
    if connection.scalar(sa.text("SELECT 1 FROM pg_extension WHERE extname = 'vector'")):
        return True
    if not connection.scalar(sa.text("SELECT 1 FROM pg_available_extensions WHERE name = 'vector'")):
        return False
    try:
        with connection.begin_nested():
            connection.execute(sa.text("CREATE EXTENSION vector"))
    except DBAPIError:  # not allowed to; the database's owner can do it and run this revision again
        return False
    return True


def _create_documents() -> None:
    op.create_table(
        "documents",
        sa.Column("document_id", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("format", sa.Text, nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("sha256", sa.Text, nullable=False),
        sa.Column("chars", sa.Integer, nullable=False),
        sa.Column("pages", sa.Integer),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("headings", JSONB, nullable=False),
        sa.Column("page_starts", ARRAY(sa.Integer), nullable=False),
        sa.Column("uploaded_by", sa.Text, nullable=False),
        sa.Column("uploaded_at", sa.DateTime(timezone=True), nullable=False, index=True),
        schema=SCHEMA,
    )


def _create_generations() -> None:
    op.create_table(
        "generations",
        sa.Column("generation_id", sa.Text, primary_key=True),
        sa.Column("document_id", sa.Text, _child_of("documents.document_id"), nullable=False, index=True),
        sa.Column("template", sa.Text, nullable=False),
        sa.Column("pairs_wanted", sa.Integer, nullable=False),
        sa.Column("min_score_0_1", sa.Double, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("task_id", sa.Text, nullable=False),
        sa.Column("dataset_name", sa.Text, nullable=False),
        sa.Column("policy", JSONB, nullable=False),
        sa.Column("requested_by", sa.Text, nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("traceparent", sa.Text),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("barren_attempts", sa.Integer, nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("chunks_total", sa.Integer, nullable=False),
        sa.Column("chunks_done", sa.Integer, nullable=False),
        sa.Column("pairs_kept", sa.Integer, nullable=False),
        sa.Column("refused", JSONB, nullable=False),
        sa.Column("failed_because", sa.Text),
        sa.Column("source", JSONB),
        sa.Column("request_id", sa.Text),
        sa.Column("finished_at", sa.DateTime(timezone=True)),
        schema=SCHEMA,
    )
    due = sa.text("state IN ('queued', 'running')")
    op.create_index("ix_generations_due", "generations", ["next_attempt_at"], schema=SCHEMA, postgresql_where=due)
    op.create_table(
        "generation_chunks",
        sa.Column("generation_id", sa.Text, _child_of("generations.generation_id"), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("start", sa.Integer, nullable=False),
        sa.Column("end", sa.Integer, nullable=False),
        sa.Column("page", sa.Integer),
        sa.Column("headings", ARRAY(sa.Text), nullable=False),
        sa.Column("wanted", sa.Integer, nullable=False),
        sa.Column("done", sa.Boolean, nullable=False),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("pairs", JSONB, nullable=False),
        sa.Column("refused", JSONB, nullable=False),
        schema=SCHEMA,
    )


def _create_indexes() -> None:
    op.create_table(
        "knowledge_indexes",
        sa.Column("index_id", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False, unique=True),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("masked", sa.Boolean, nullable=False),
        sa.Column("embedding", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("created_by", sa.Text, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        schema=SCHEMA,
    )
    op.create_table(
        "knowledge_versions",
        sa.Column("index_id", sa.Text, _child_of("knowledge_indexes.index_id"), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("entries", sa.Integer, nullable=False),
        sa.Column("added", sa.Integer, nullable=False),
        sa.Column("retired", sa.Integer, nullable=False),
        sa.Column("created_by", sa.Text, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        schema=SCHEMA,
    )
    op.create_table(
        "knowledge_evaluations",
        sa.Column("evaluation_id", sa.Text, primary_key=True),
        sa.Column("index_id", sa.Text, _child_of("knowledge_indexes.index_id"), nullable=False, index=True),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("queries", sa.Integer, nullable=False),
        sa.Column("results", JSONB, nullable=False),
        sa.Column("created_by", sa.Text, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        schema=SCHEMA,
    )


def _create_entries() -> None:
    op.create_table(
        "knowledge_entries",
        sa.Column("entry_id", sa.Text, primary_key=True),
        sa.Column("index_id", sa.Text, _child_of("knowledge_indexes.index_id"), nullable=False, index=True),
        sa.Column("record_id", sa.Text, nullable=False),
        sa.Column("valid_from", sa.Integer, nullable=False),
        sa.Column("valid_to", sa.Integer),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("metadata", JSONB, nullable=False),
        sa.Column("document_id", sa.Text, index=True),
        sa.Column("start", sa.Integer),
        sa.Column("end", sa.Integer),
        sa.Column("terms", TSVECTOR, nullable=False),
        sa.Column("terms_count", sa.Integer, nullable=False),
        schema=SCHEMA,
    )
    op.create_index(
        "ix_knowledge_entries_live", "knowledge_entries", ["index_id", "record_id"], unique=True, schema=SCHEMA,
        postgresql_where=sa.text("valid_to IS NULL"),
    )  # fmt: skip
    op.create_index("ix_knowledge_entries_terms", "knowledge_entries", ["terms"], schema=SCHEMA, postgresql_using="gin")

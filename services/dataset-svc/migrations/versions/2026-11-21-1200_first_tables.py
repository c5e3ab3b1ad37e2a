"""Datasets, requests for versions, versions with their samples and questions, erased persons."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from loopwright.migrations import create_messaging_tables_v1

revision = "dataset_0001"
down_revision = None
branch_labels = None
depends_on = None

SCHEMA = "dataset"
_TABLES = ("erased_units", "questions", "samples", "versions", "requests", "datasets", "inbox", "outbox")


def upgrade() -> None:
    create_messaging_tables_v1(op, SCHEMA)
    op.create_table(
        "datasets",
        sa.Column("dataset_id", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False, unique=True),
        sa.Column("task_id", sa.Text, nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("status_reason", sa.Text),
        sa.Column("created_by", sa.Text, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        schema=SCHEMA,
    )
    op.create_table(
        "requests",
        sa.Column("request_id", sa.Text, primary_key=True),
        sa.Column("task_id", sa.Text, nullable=False),
        sa.Column("dataset_name", sa.Text, nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("origin", sa.Text, nullable=False),
        sa.Column("requested_by", sa.Text, nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("source", JSONB, nullable=False),
        sa.Column("sample_count", sa.Integer),
        sa.Column("data_policy", JSONB, nullable=False),
        sa.Column("traceparent", sa.Text),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("rejected_because", ARRAY(sa.Text), nullable=False),
        sa.Column("report", JSONB),
        sa.Column("finished_at", sa.DateTime(timezone=True)),
        schema=SCHEMA,
    )
    op.create_index(
        "ix_requests_pending",
        "requests",
        ["next_attempt_at"],
        schema=SCHEMA,
        postgresql_where=sa.text("state = 'pending'"),
    )
    _create_versions()
    op.create_table(
        "erased_units",
        sa.Column("unit_hash", sa.Text, primary_key=True),
        sa.Column("erasure_id", sa.Text, nullable=False),
        sa.Column("erased_at", sa.DateTime(timezone=True), nullable=False),
        schema=SCHEMA,
    )


def _create_versions() -> None:
    op.create_table(
        "versions",
        sa.Column("version_id", sa.Text, primary_key=True),
        sa.Column("dataset_id", sa.Text, sa.ForeignKey("dataset.datasets.dataset_id"), nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("parent_version_id", sa.Text, sa.ForeignKey("dataset.versions.version_id")),
        sa.Column("request_id", sa.Text, sa.ForeignKey("dataset.requests.request_id"), nullable=False, unique=True),
        sa.Column("content_sha256", sa.Text, nullable=False),
        sa.Column("train", JSONB, nullable=False),
        sa.Column("validation", JSONB, nullable=False),
        sa.Column("held_out", JSONB, nullable=False),
        sa.Column("report", JSONB, nullable=False),
        sa.Column("quality_score_0_1", sa.Double, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("status_reason", sa.Text),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.UniqueConstraint("dataset_id", "number"),
        schema=SCHEMA,
    )
    op.create_table(
        "samples",
        sa.Column("version_id", sa.Text, sa.ForeignKey("dataset.versions.version_id"), primary_key=True),
        sa.Column("sample_id", sa.Text, primary_key=True),
        sa.Column("split", sa.Text, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("content_sha256", sa.Text, nullable=False),
        sa.Column("question_sha256", sa.Text, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("inference_id", sa.Text),
        sa.Column("rating_ids", ARRAY(sa.Text), nullable=False),
        sa.Column("unit_hash", sa.Text),
        sa.Column("weight_0_1", sa.Double, nullable=False),
        schema=SCHEMA,
    )
    op.create_index("ix_dataset_samples_question_sha256", "samples", ["question_sha256"], schema=SCHEMA)
    op.create_index("ix_dataset_samples_unit_hash", "samples", ["unit_hash"], schema=SCHEMA)
    op.create_table(
        "questions",
        sa.Column("dataset_id", sa.Text, sa.ForeignKey("dataset.datasets.dataset_id"), primary_key=True),
        sa.Column("question_sha256", sa.Text, primary_key=True),
        sa.Column("split", sa.Text, nullable=False),
        sa.Column("question", sa.Text, nullable=False),
        schema=SCHEMA,
    )


def downgrade() -> None:
    for table in _TABLES:
        op.drop_table(table, schema=SCHEMA)

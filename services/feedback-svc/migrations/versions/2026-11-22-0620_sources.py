"""Upstream records that teach: what a check found of them, runs that collect them, their exports, and calls for training."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

revision = "feedback_0005"
down_revision = "feedback_0004"
branch_labels = None
depends_on = None

SCHEMA = "feedback"
_TIME = sa.DateTime(timezone=True)
_UNINSPECTED = sa.text("inspected_as IS DISTINCT FROM coalesce(erased_at, published_at)")
_SAMPLES = (
    sa.Column("collected_from", sa.Text),
    sa.Column("source_key", sa.Text),
    sa.Column("record_ids", ARRAY(sa.Text), nullable=False, server_default="{}"),
    sa.Column("subjects", ARRAY(sa.Text), nullable=False, server_default="{}"),
    sa.Column("rater", sa.Text),
    sa.Column("left_at_request", sa.Integer),
)


def upgrade() -> None:
    for column in _SAMPLES:
        op.add_column("samples", column, schema=SCHEMA)
    for name in ("inference_id", "unit_hash"):
        op.alter_column("samples", name, nullable=True, schema=SCHEMA)
    op.create_index("ix_samples_by_subject", "samples", ["subjects"], schema=SCHEMA, postgresql_using="gin")
    op.create_index("ix_samples_by_source_key", "samples", ["task_id", "collected_from", "source_key"], schema=SCHEMA)
    op.add_column("dataset_requests", sa.Column("ended_at", _TIME), schema=SCHEMA)
    op.add_column("upstream_records", sa.Column("inspected_as", _TIME), schema=SCHEMA)
    op.create_index(
        "ix_upstream_records_uninspected", "upstream_records", ["received_at"], schema=SCHEMA,
        postgresql_where=_UNINSPECTED,
    )  # fmt: skip
    _create_records()
    _create_runs()
    _create_signals()


def _create_records() -> None:
    op.create_table(
        "source_records",
        *(sa.Column(name, sa.Text, primary_key=True) for name in ("origin", "kind", "record_id")),
        sa.Column("source", sa.Text),
        sa.Column("group_key", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("rater", sa.Text),
        sa.Column("claim", sa.Text),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("published_at", _TIME, nullable=False),
        sa.Column("inspected_at", _TIME, nullable=False),
        sa.UniqueConstraint("position", name="uq_source_records_position"),
        schema=SCHEMA,
    )
    for name, column in (("position", "position"), ("group", "group_key"), ("rater", "rater")):
        op.create_index(f"ix_source_records_by_{name}", "source_records", ["source", column], schema=SCHEMA)


def _create_runs() -> None:
    op.create_table(
        "collections",
        sa.Column("run_id", sa.Text, primary_key=True),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("task_id", "source", "state", "reason")),
        sa.Column("requested_by", sa.Text, nullable=False),
        sa.Column("requested_at", _TIME, nullable=False),
        sa.Column("finished_at", _TIME),
        sa.Column("options", JSONB, nullable=False),
        sa.Column("from_position", sa.BigInteger, nullable=False),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("counts", JSONB, nullable=False),
        sa.Column("error", sa.Text),
        schema=SCHEMA,
    )
    op.create_index("ix_collections_by_task", "collections", ["task_id", "source", "requested_at"], schema=SCHEMA)
    op.create_index(
        "uq_collections_open", "collections", ["task_id", "source"], schema=SCHEMA, unique=True,
        postgresql_where=sa.text("finished_at IS NULL"),
    )  # fmt: skip
    op.create_table(
        "evidence_exports",
        sa.Column("export_id", sa.Text, primary_key=True),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("task_id", "source", "state")),
        *(sa.Column(name, ARRAY(sa.Text), nullable=False) for name in ("source_ids", "subjects")),
        sa.Column("count", sa.Integer, nullable=False),
        sa.Column("artifact", JSONB(none_as_null=True)),
        sa.Column("error", sa.Text),
        *(sa.Column(name, _TIME, nullable=False) for name in ("due_at", "made_at")),
        sa.Column("erased_at", _TIME),
        sa.UniqueConstraint("task_id", "source", "due_at", name="uq_evidence_exports_due"),
        schema=SCHEMA,
    )
    op.create_index(
        "ix_evidence_exports_by_subject", "evidence_exports", ["subjects"], schema=SCHEMA, postgresql_using="gin"
    )


def _create_signals() -> None:
    op.create_table(
        "retraining_signals",
        sa.Column("signal_id", sa.Text, primary_key=True),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("task_id", "kind", "detail", "raised_by")),
        sa.Column("raised_at", _TIME, nullable=False),
        sa.Column("request_id", sa.Text),
        schema=SCHEMA,
    )
    op.create_index("ix_retraining_signals_by_task", "retraining_signals", ["task_id", "raised_at"], schema=SCHEMA)
    op.create_index(
        "uq_retraining_signals_open", "retraining_signals", ["task_id", "kind"], schema=SCHEMA, unique=True,
        postgresql_where=sa.text("request_id IS NULL"),
    )  # fmt: skip


def downgrade() -> None:
    for name in ("retraining_signals", "evidence_exports", "collections", "source_records"):
        op.drop_table(name, schema=SCHEMA)
    op.drop_index("ix_upstream_records_uninspected", "upstream_records", schema=SCHEMA)
    op.drop_column("upstream_records", "inspected_as", schema=SCHEMA)
    op.drop_column("dataset_requests", "ended_at", schema=SCHEMA)
    for name in ("ix_samples_by_source_key", "ix_samples_by_subject"):
        op.drop_index(name, "samples", schema=SCHEMA)
    op.execute("DELETE FROM feedback.samples WHERE inference_id IS NULL")  # a former release cannot read them
    for name in ("unit_hash", "inference_id"):
        op.alter_column("samples", name, nullable=False, schema=SCHEMA)
    for column in reversed(_SAMPLES):
        op.drop_column("samples", column.name, schema=SCHEMA)

"""First tables: signals, samples, requests, experiments."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from loopwright.migrations import create_messaging_tables_v1

revision = "feedback_0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_messaging_tables_v1(op, "feedback")
    op.create_table(
        "dataset_requests",
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("task_id", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("new_samples", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("data_policy", JSONB(), nullable=False),
        sa.Column("traceparent", sa.Text(), nullable=True),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("source", JSONB(none_as_null=True), nullable=True),
        sa.Column("sample_count", sa.Integer(), nullable=True),
        sa.Column("announced_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("request_id"),
        sa.UniqueConstraint("task_id", "number", name="uq_dataset_requests_number"),
        schema="feedback",
    )
    op.create_index(
        "ix_dataset_requests_pending",
        "dataset_requests",
        ["requested_at"],
        unique=False,
        schema="feedback",
        postgresql_where=sa.text("state = 'pending'"),
    )
    op.create_table(
        "deployments",
        sa.Column("task_id", sa.Text(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("champion_variant_id", sa.Text(), nullable=False),
        sa.Column("candidate_variant_ids", ARRAY(sa.Text()), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("task_id"),
        schema="feedback",
    )
    op.create_table(
        "evaluations",
        sa.Column("evaluation_id", sa.Text(), nullable=False),
        sa.Column("task_id", sa.Text(), nullable=False),
        sa.Column("candidate_variant_id", sa.Text(), nullable=False),
        sa.Column("passed", sa.Boolean(), nullable=False),
        sa.Column("evaluated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("evaluation_id"),
        schema="feedback",
    )
    op.create_table(
        "experiment_users",
        sa.Column("experiment_id", sa.Text(), nullable=False),
        sa.Column("variant_id", sa.Text(), nullable=False),
        sa.Column("unit_hash", sa.Text(), nullable=False),
        sa.Column("ratings", sa.BigInteger(), nullable=False),
        sa.Column("total", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("experiment_id", "variant_id", "unit_hash"),
        schema="feedback",
    )
    op.create_table(
        "experiments",
        sa.Column("experiment_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("task_id", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("salt", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("champion_variant_id", sa.Text(), nullable=False),
        sa.Column("candidate_variant_id", sa.Text(), nullable=False),
        sa.Column("candidate_share_0_1", sa.Double(), nullable=False),
        sa.Column("metric", JSONB(), nullable=False),
        sa.Column("rollout", JSONB(), nullable=False),
        sa.Column("known_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("traceparent", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("winner_variant_id", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("concluded_by", sa.Text(), nullable=True),
        sa.Column("champion", JSONB(), nullable=False),
        sa.Column("candidate", JSONB(), nullable=False),
        sa.Column("evidence", JSONB(none_as_null=True), nullable=True),
        sa.PrimaryKeyConstraint("experiment_id"),
        schema="feedback",
    )
    op.create_index("ix_experiments_by_task", "experiments", ["task_id", "state"], unique=False, schema="feedback")
    op.create_index(
        "uq_experiments_running",
        "experiments",
        ["task_id"],
        unique=True,
        schema="feedback",
        postgresql_where=sa.text("state = 'running'"),
    )
    op.create_table(
        "inferences",
        sa.Column("inference_id", sa.Text(), nullable=False),
        sa.Column("task_id", sa.Text(), nullable=False),
        sa.Column("task_version", sa.BigInteger(), nullable=False),
        sa.Column("experiment_id", sa.Text(), nullable=True),
        sa.Column("variant_id", sa.Text(), nullable=False),
        sa.Column("served_variant_id", sa.Text(), nullable=False),
        sa.Column("pinned", sa.Boolean(), nullable=False),
        sa.Column("fallback", sa.Boolean(), nullable=False),
        sa.Column("unit_hash", sa.Text(), nullable=False),
        sa.Column("content", sa.JSON(), nullable=False),
        sa.Column("http_status", sa.Integer(), nullable=False),
        sa.Column("finish_reason", sa.Text(), nullable=True),
        sa.Column("prompt_tokens", sa.BigInteger(), nullable=True),
        sa.Column("completion_tokens", sa.BigInteger(), nullable=True),
        sa.Column("first_byte_ms", sa.Double(), nullable=True),
        sa.Column("latency_ms", sa.Double(), nullable=False),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("inference_id"),
        schema="feedback",
    )
    op.create_index("ix_inferences_by_task", "inferences", ["task_id", "completed_at"], unique=False, schema="feedback")
    op.create_table(
        "ratings",
        sa.Column("rating_id", sa.Text(), nullable=False),
        sa.Column("inference_id", sa.Text(), nullable=False),
        sa.Column("task_id", sa.Text(), nullable=False),
        sa.Column("experiment_id", sa.Text(), nullable=True),
        sa.Column("variant_id", sa.Text(), nullable=False),
        sa.Column("unit_hash", sa.Text(), nullable=False),
        sa.Column("rater_hash", sa.Text(), nullable=False),
        sa.Column("metric", sa.Text(), nullable=False),
        sa.Column("value", sa.Double(), nullable=True),
        sa.Column("remarks", sa.JSON(), nullable=False),
        sa.Column("counts", sa.Boolean(), nullable=False),
        sa.Column("rated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("rating_id"),
        schema="feedback",
    )
    op.create_index("ix_ratings_by_inference", "ratings", ["inference_id"], unique=False, schema="feedback")
    op.create_index("ix_ratings_by_task", "ratings", ["task_id", "rated_at"], unique=False, schema="feedback")
    op.create_index(
        "ix_ratings_of_experiment",
        "ratings",
        ["experiment_id", "metric"],
        unique=False,
        schema="feedback",
        postgresql_where=sa.text("counts AND experiment_id IS NOT NULL"),
    )
    op.create_index(
        "uq_ratings_seat",
        "ratings",
        ["inference_id", "rater_hash", "metric", sa.literal_column("(value IS NULL)")],
        unique=True,
        schema="feedback",
        postgresql_where=sa.text("counts"),
    )
    op.create_table(
        "samples",
        sa.Column("sample_id", sa.Text(), nullable=False),
        sa.Column("task_id", sa.Text(), nullable=False),
        sa.Column("inference_id", sa.Text(), nullable=False),
        sa.Column("unit_hash", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("lesson", sa.JSON(), nullable=False),
        sa.Column("rating_ids", ARRAY(sa.Text()), nullable=False),
        sa.Column("weight_0_1", sa.Double(), nullable=False),
        sa.Column("request_number", sa.Integer(), nullable=True),
        sa.Column("traceparent", sa.Text(), nullable=True),
        sa.Column("formed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("sample_id"),
        schema="feedback",
    )
    op.create_index("ix_samples_by_inference", "samples", ["inference_id"], unique=False, schema="feedback")
    op.create_index("ix_samples_by_request", "samples", ["task_id", "request_number"], unique=False, schema="feedback")
    op.create_index(
        "ix_samples_ready_by_task",
        "samples",
        ["task_id", "changed_at"],
        unique=False,
        schema="feedback",
        postgresql_where=sa.text("state = 'ready'"),
    )
    op.create_index(
        "uq_samples_ready",
        "samples",
        ["inference_id"],
        unique=True,
        schema="feedback",
        postgresql_where=sa.text("state = 'ready'"),
    )
    op.create_table(
        "tasks",
        sa.Column("task_id", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("policies", JSONB(), nullable=False),
        sa.Column("defined_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("task_id"),
        schema="feedback",
    )
    op.create_table(
        "upstream_records",
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("record_id", sa.Text(), nullable=False),
        sa.Column("records", sa.Integer(), nullable=False),
        sa.Column("content", sa.JSON(), nullable=False),
        sa.Column("deliveries", sa.Integer(), nullable=False),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("origin", "kind", "record_id"),
        schema="feedback",
    )
    op.create_index("ix_upstream_records_by_time", "upstream_records", ["received_at"], unique=False, schema="feedback")


def downgrade() -> None:
    for table in (
        "upstream_records",
        "tasks",
        "samples",
        "ratings",
        "inferences",
        "experiments",
        "experiment_users",
        "evaluations",
        "deployments",
        "dataset_requests",
        "inbox",
        "outbox",
    ):
        op.drop_table(table, schema="feedback")

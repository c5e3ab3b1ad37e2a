"""Training policies, dataset versions, jobs with their metrics and checkpoints."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from loopwright.migrations import create_messaging_tables_v1

revision = "trainer_0001"
down_revision = None
branch_labels = None
depends_on = None

SCHEMA = "trainer"
_TABLES = ("checkpoints", "job_metrics", "jobs", "dataset_versions", "policies", "inbox", "outbox")
_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    create_messaging_tables_v1(op, SCHEMA)
    op.create_table(
        "policies",
        sa.Column("task_id", sa.Text, primary_key=True),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("base_model", sa.Text, nullable=False),
        sa.Column("training", JSONB, nullable=False),
        schema=SCHEMA,
    )
    op.create_table(
        "dataset_versions",
        sa.Column("version_id", sa.Text, primary_key=True),
        sa.Column("dataset_id", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("task_id", sa.Text, nullable=False),
        sa.Column("training_data", JSONB, nullable=False),
        sa.Column("validated_at", _TIME, nullable=False),
        schema=SCHEMA,
    )
    op.create_index("dataset_versions_dataset", "dataset_versions", ["dataset_id", "version"], schema=SCHEMA)
    _create_jobs()
    op.create_table(
        "job_metrics",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("job_id", sa.Text, sa.ForeignKey(f"{SCHEMA}.jobs.job_id", ondelete="CASCADE"), nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("step", sa.Integer, nullable=False),
        sa.Column("epoch", sa.Float, nullable=False),
        sa.Column("loss", sa.Float),
        sa.Column("validation_loss", sa.Float),
        sa.Column("learning_rate", sa.Float),
        sa.Column("grad_norm", sa.Float),
        sa.Column("tokens_per_s", sa.Float),
        sa.Column("device_memory_bytes", sa.BigInteger),
        sa.Column("at", _TIME, nullable=False),
        schema=SCHEMA,
    )
    op.create_index("job_metrics_job", "job_metrics", ["job_id", "id"], schema=SCHEMA)
    op.create_table(
        "checkpoints",
        sa.Column("job_id", sa.Text, sa.ForeignKey(f"{SCHEMA}.jobs.job_id", ondelete="CASCADE"), primary_key=True),
        sa.Column("step", sa.Integer, primary_key=True),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("epoch", sa.Float, nullable=False),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("at", _TIME, nullable=False),
        schema=SCHEMA,
    )


def _create_jobs() -> None:
    op.create_table(
        "jobs",
        sa.Column("job_id", sa.Text, primary_key=True),
        sa.Column("job_name", sa.Text, nullable=False),
        sa.Column("task_id", sa.Text, nullable=False),
        sa.Column("base_model", sa.Text, nullable=False),
        sa.Column("training_data", JSONB, nullable=False),
        sa.Column("method", sa.Text, nullable=False),
        sa.Column("objective", sa.Text, nullable=False),
        sa.Column("hyperparameters", JSONB, nullable=False),
        sa.Column("requested_by", sa.Text, nullable=False),
        sa.Column("requested_at", _TIME, nullable=False),
        sa.Column("traceparent", sa.Text),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("stop_requested", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("attempt", sa.Integer, nullable=False, server_default="0"),
        sa.Column("lease_owner", sa.Text),
        sa.Column("lease_expires_at", _TIME),
        sa.Column("device", sa.Text),
        sa.Column("step", sa.Integer, nullable=False, server_default="0"),
        sa.Column("total_steps", sa.Integer, nullable=False, server_default="0"),
        sa.Column("loss", sa.Float),
        sa.Column("validation_loss", sa.Float),
        sa.Column("tokens_per_s", sa.Float),
        sa.Column("eta_s", sa.Float),
        sa.Column("adapter", JSONB),
        sa.Column("mlflow_run_id", sa.Text),
        sa.Column("started_at", _TIME),
        sa.Column("finished_at", _TIME),
        schema=SCHEMA,
    )
    op.create_index("jobs_queue", "jobs", ["state", "requested_at"], schema=SCHEMA)
    running = sa.text("state = 'running'")
    op.create_index("jobs_device", "jobs", ["device"], unique=True, schema=SCHEMA, postgresql_where=running)


def downgrade() -> None:
    for table in _TABLES:
        op.drop_table(table, schema=SCHEMA)

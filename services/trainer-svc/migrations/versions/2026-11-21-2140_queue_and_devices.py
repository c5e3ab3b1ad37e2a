"""Kinds of jobs, priorities, several devices a job, workers that are heard of, estimates, and resuming."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

revision = "trainer_0003"
down_revision = "trainer_0002"
branch_labels = None
depends_on = None

SCHEMA = "trainer"
_TIME = sa.DateTime(timezone=True)
_NAMES = ARRAY(sa.Text)
_FIGURES = {"job_metrics": ("reward_margin", "reward_accuracy"), "checkpoints": ("loss", "validation_loss")}
_FILL_DEVICES = """
    INSERT INTO trainer.job_devices (worker, slot, job_id)
    SELECT lease_owner, substr(device, length(lease_owner) + 2), job_id FROM trainer.jobs WHERE state = 'running'
"""


def _new_columns() -> tuple[sa.Column[object], ...]:
    return (
        sa.Column("kind", sa.Text, nullable=False, server_default="train"),
        sa.Column("source_adapter", JSONB),
        sa.Column("priority", sa.Integer, nullable=False, server_default="0"),
        sa.Column("devices", _NAMES, nullable=False, server_default="{}"),
        sa.Column("device_count", sa.Integer, nullable=False, server_default="1"),
        sa.Column("queued_at", _TIME, nullable=False, server_default=sa.func.now()),
        sa.Column("estimated_s", sa.Float),
        sa.Column("attempts_forgiven", sa.Integer, nullable=False, server_default="0"),
        sa.Column("resume_from_step", sa.Integer),
        sa.Column("ran_on", _NAMES, nullable=False, server_default="{}"),
        sa.Column("memory_bytes", sa.BigInteger),
        sa.Column("last_started_at", _TIME),
        sa.Column("tokens", sa.BigInteger),
        sa.Column("train_s", sa.Float),
        sa.Column("product", JSONB),
    )


def upgrade() -> None:
    for column in _new_columns():
        op.add_column("jobs", column, schema=SCHEMA)
    for table, names in _FIGURES.items():
        for name in names:
            op.add_column(table, sa.Column(name, sa.Float), schema=SCHEMA)
    op.create_table(
        "job_devices",
        sa.Column("worker", sa.Text, primary_key=True),
        sa.Column("slot", sa.Text, primary_key=True),
        sa.Column("job_id", sa.Text, sa.ForeignKey(f"{SCHEMA}.jobs.job_id", ondelete="CASCADE"), nullable=False),
        schema=SCHEMA,
    )
    op.create_index("job_devices_job", "job_devices", ["job_id"], schema=SCHEMA)
    op.execute(_FILL_DEVICES)
    op.execute("UPDATE trainer.jobs SET ran_on = ARRAY[device] WHERE device IS NOT NULL")
    op.execute("UPDATE trainer.jobs SET last_started_at = started_at WHERE started_at IS NOT NULL")
    op.create_table(
        "workers",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("slots", _NAMES, nullable=False),
        sa.Column("base_models", _NAMES, nullable=False),
        sa.Column("most_jobs", sa.Integer, nullable=False),
        sa.Column("total_bytes", JSONB, nullable=False),
        sa.Column("free_bytes", JSONB, nullable=False),
        sa.Column("last_seen", _TIME, nullable=False),
        sa.Column("alive_until", _TIME, nullable=False),
        schema=SCHEMA,
    )
    op.create_table(
        "deleted_jobs",
        sa.Column("job_id", sa.Text, primary_key=True),
        sa.Column("deleted_by", sa.Text, nullable=False),
        sa.Column("deleted_at", _TIME, nullable=False),
        schema=SCHEMA,
    )


def downgrade() -> None:
    for table in ("deleted_jobs", "workers", "job_devices"):
        op.drop_table(table, schema=SCHEMA)
    for column in _new_columns():
        op.drop_column("jobs", column.name, schema=SCHEMA)
    for table, names in _FIGURES.items():
        for name in names:
            op.drop_column(table, name, schema=SCHEMA)

"""Studies, their trials, and the marks of jobs that are trials."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

revision = "trainer_0004"
down_revision = "trainer_0003"
branch_labels = None
depends_on = None

SCHEMA = "trainer"
_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column("jobs", sa.Column("study_id", sa.Text), schema=SCHEMA)
    op.create_table(
        "studies",
        sa.Column("study_id", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("task_id", sa.Text, nullable=False),
        sa.Column("base_model", sa.Text, nullable=False),
        sa.Column("training_data", JSONB, nullable=False),
        sa.Column("method", sa.Text, nullable=False),
        sa.Column("objective", sa.Text, nullable=False),
        sa.Column("hyperparameters", JSONB, nullable=False),
        sa.Column("space", JSONB, nullable=False),
        sa.Column("terms", JSONB, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("counts_from", sa.Integer, nullable=False, server_default="0"),
        sa.Column("promoted_trial", sa.Integer),
        sa.Column("promoted_job_id", sa.Text),
        sa.Column("created_by", sa.Text, nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("ended_at", _TIME),
        sa.Column("traceparent", sa.Text),
        schema=SCHEMA,
    )
    op.create_index("studies_state", "studies", ["state", "created_at"], schema=SCHEMA)
    op.create_table(
        "study_trials",
        sa.Column(
            "study_id", sa.Text, sa.ForeignKey(f"{SCHEMA}.studies.study_id", ondelete="CASCADE"), primary_key=True
        ),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("settings", JSONB, nullable=False),
        sa.Column("job_id", sa.Text, unique=True),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("value", sa.Float),
        sa.Column("evaluations", ARRAY(sa.Float), nullable=False, server_default="{}"),
        sa.Column("judged", sa.Integer, nullable=False, server_default="0"),
        sa.Column("pruned_after", sa.Integer),
        sa.Column("started_at", _TIME, nullable=False),
        sa.Column("ended_at", _TIME),
        schema=SCHEMA,
    )


def downgrade() -> None:
    op.drop_table("study_trials", schema=SCHEMA)
    op.drop_table("studies", schema=SCHEMA)
    op.drop_column("jobs", "study_id", schema=SCHEMA)

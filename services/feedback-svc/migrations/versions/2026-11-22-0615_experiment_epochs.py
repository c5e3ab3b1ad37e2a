"""Experiments with several arms, epochs, and a record of everything that was done to them."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

revision = "feedback_0004"
down_revision = "feedback_0003"
branch_labels = None
depends_on = None

SCHEMA = "feedback"
_TIME = sa.DateTime(timezone=True)
_OF_EXPERIMENT = sa.text("experiment_id IS NOT NULL")
# columns that every experiment has, with what those of former releases had
_NEW = (
    (sa.Column("kind", sa.Text), "'ab'"),
    (sa.Column("epoch", sa.Integer), "CASE WHEN started_at IS NULL THEN 0 ELSE 1 END"),
    (sa.Column("looks_taken", sa.Integer), "0"),
    (sa.Column("further_candidate_ids", ARRAY(sa.Text)), "'{}'"),
    (sa.Column("weights_0_1", ARRAY(sa.Double)), "ARRAY[1 - candidate_share_0_1, candidate_share_0_1]"),
    (sa.Column("excluded_units", ARRAY(sa.Text)), "'{}'"),
    (sa.Column("forced_units", JSONB), "'{}'"),
)
_EXPERIMENTS = sa.table("experiments", *(sa.column(column.name) for column, _ in _NEW), schema=SCHEMA)
_STATES = """
UPDATE feedback.experiments SET
    queued_at = CASE WHEN state = 'waiting' THEN created_at END,
    state = CASE WHEN state = 'waiting' THEN 'draft' WHEN state = 'running' THEN 'running'
        WHEN verdict = 'stopped' THEN 'stopped' ELSE 'concluded' END
"""
_EPOCHS = """
INSERT INTO feedback.experiment_epochs (experiment_id, epoch, weights_0_1, began_at)
SELECT experiment_id, 1, weights_0_1, started_at FROM feedback.experiments WHERE started_at IS NOT NULL
"""
_FORMER_STATES = """
UPDATE feedback.experiments SET
    candidate_share_0_1 = 1 - weights_0_1[1], champion = '{}', candidate = '{}',
    state = CASE WHEN state = 'draft' THEN 'waiting' WHEN state IN ('running', 'ramping') THEN 'running' ELSE 'ended' END
"""


def upgrade() -> None:
    op.drop_index("uq_experiments_running", "experiments", schema=SCHEMA)
    op.alter_column("experiments", "outcome", new_column_name="verdict", schema=SCHEMA)
    op.drop_column("experiments", "evidence", schema=SCHEMA)
    for name in ("layer", "findings"):
        op.add_column("experiments", sa.Column(name, JSONB), schema=SCHEMA)
    op.add_column("experiments", sa.Column("queued_at", _TIME), schema=SCHEMA)
    for column, former in _NEW:
        op.add_column("experiments", column, schema=SCHEMA)
        op.execute(sa.update(_EXPERIMENTS).values({column.name: sa.text(former)}))
        op.alter_column("experiments", column.name, nullable=False, schema=SCHEMA)
    for name in ("candidate_share_0_1", "champion", "candidate"):
        op.drop_column("experiments", name, schema=SCHEMA)
    op.execute(_STATES)
    op.create_index(
        "ix_experiments_active", "experiments", ["experiment_id"], schema=SCHEMA,
        postgresql_where=sa.text("ended_at IS NULL"),
    )  # fmt: skip
    op.create_index(
        "ix_inferences_of_experiment", "inferences", ["experiment_id"], schema=SCHEMA, postgresql_where=_OF_EXPERIMENT
    )
    _create_tables()
    op.execute(_EPOCHS)


def _create_tables() -> None:
    op.create_table(
        "experiment_epochs",
        sa.Column("experiment_id", sa.Text, primary_key=True),
        sa.Column("epoch", sa.Integer, primary_key=True),
        sa.Column("weights_0_1", ARRAY(sa.Double), nullable=False),
        sa.Column("began_at", _TIME, nullable=False),
        schema=SCHEMA,
    )
    op.create_table(
        "experiment_changes",
        sa.Column("number", sa.BigInteger, sa.Identity(), primary_key=True),
        sa.Column("experiment_id", sa.Text, nullable=False),
        sa.Column("from_state", sa.Text),
        sa.Column("to_state", sa.Text, nullable=False),
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("changed_at", _TIME, nullable=False),
        sa.Column("changed_by", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        schema=SCHEMA,
    )
    op.create_index(
        "ix_experiment_changes_by_experiment", "experiment_changes", ["experiment_id", "number"], schema=SCHEMA
    )


def downgrade() -> None:
    op.drop_table("experiment_changes", schema=SCHEMA)
    op.drop_table("experiment_epochs", schema=SCHEMA)
    op.drop_index("ix_inferences_of_experiment", "inferences", schema=SCHEMA)
    op.drop_index("ix_experiments_active", "experiments", schema=SCHEMA)
    for name in ("champion", "candidate", "evidence"):
        op.add_column("experiments", sa.Column(name, JSONB), schema=SCHEMA)
    op.add_column("experiments", sa.Column("candidate_share_0_1", sa.Double), schema=SCHEMA)
    op.execute(_FORMER_STATES)
    for name in ("champion", "candidate", "candidate_share_0_1"):
        op.alter_column("experiments", name, nullable=False, schema=SCHEMA)
    for column, _ in _NEW:
        op.drop_column("experiments", column.name, schema=SCHEMA)
    for name in ("queued_at", "findings", "layer"):
        op.drop_column("experiments", name, schema=SCHEMA)
    op.alter_column("experiments", "verdict", new_column_name="outcome", schema=SCHEMA)
    op.create_index(
        "uq_experiments_running", "experiments", ["task_id"], unique=True, schema=SCHEMA,
        postgresql_where=sa.text("state = 'running'"),
    )  # fmt: skip

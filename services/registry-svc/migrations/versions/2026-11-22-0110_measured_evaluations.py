"""Evaluations that people ask for beside those of the gate; figures of every metric; what was asked beside what was answered."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

revision = "registry_0005_evaluations"
down_revision = "registry_0004_record"
branch_labels = None
depends_on = None

SCHEMA = "registry"
_KEY = "evaluation_answers_pkey"
_INDEXED = ("suite_id", "task_id", "state")


def _columns() -> tuple[sa.Column[object], ...]:
    return (
        sa.Column("kind", sa.Text, nullable=False, server_default="gate"),
        sa.Column("suite_id", sa.Text),
        sa.Column("cases", JSONB),
        sa.Column("extras", ARRAY(sa.Text), nullable=False, server_default="{}"),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("due_at", sa.DateTime(timezone=True)),
        sa.Column("waits_for", sa.Text),
        sa.Column("traceparent", sa.Text),
        sa.Column("metrics", JSONB),
        sa.Column("requested_by", sa.Text, nullable=False, server_default="registry-svc"),
    )


def _answer_columns() -> tuple[sa.Column[object], ...]:
    return (
        sa.Column("part", sa.Text, nullable=False, server_default="cases"),
        sa.Column("input", sa.Text),
        sa.Column("output_tokens", sa.Integer),
        sa.Column("scores", JSONB, nullable=False, server_default="{}"),
    )


def upgrade() -> None:
    for column in _columns():
        op.add_column("evaluations", column, schema=SCHEMA)
    op.alter_column("evaluations", "job_id", nullable=True, schema=SCHEMA)
    for name in _INDEXED:
        op.create_index(f"ix_registry_evaluations_{name}", "evaluations", [name], schema=SCHEMA)
    for column in _answer_columns():
        op.add_column("evaluation_answers", column, schema=SCHEMA)
    op.drop_constraint(_KEY, "evaluation_answers", schema=SCHEMA)
    op.create_primary_key(_KEY, "evaluation_answers", ["evaluation_id", "variant_id", "part", "number"], schema=SCHEMA)


def downgrade() -> None:
    op.execute("DELETE FROM registry.evaluation_answers WHERE part <> 'cases'")
    op.drop_constraint(_KEY, "evaluation_answers", schema=SCHEMA)
    op.create_primary_key(_KEY, "evaluation_answers", ["evaluation_id", "variant_id", "number"], schema=SCHEMA)
    for column in _answer_columns():
        op.drop_column("evaluation_answers", column.name, schema=SCHEMA)
    for name in _INDEXED:
        op.drop_index(f"ix_registry_evaluations_{name}", "evaluations", schema=SCHEMA)
    op.execute(
        "DELETE FROM registry.evaluation_answers WHERE evaluation_id IN "
        "(SELECT evaluation_id FROM registry.evaluations WHERE job_id IS NULL)"
    )
    op.execute("DELETE FROM registry.evaluations WHERE job_id IS NULL")
    op.alter_column("evaluations", "job_id", nullable=False, schema=SCHEMA)
    for column in _columns():
        op.drop_column("evaluations", column.name, schema=SCHEMA)

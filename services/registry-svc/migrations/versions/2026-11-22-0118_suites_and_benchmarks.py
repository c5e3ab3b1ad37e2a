"""Internal test suites, and runs of public benchmarks."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

revision = "registry_0006_suites"
down_revision = "registry_0005_evaluations"
branch_labels = None
depends_on = None

SCHEMA = "registry"


def _moment(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def upgrade() -> None:
    op.create_table(
        "suites",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("task_id", sa.Text, nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("created_by", sa.Text, nullable=False),
        _moment("created_at"),
        _moment("archived_at", nullable=True),
        schema=SCHEMA,
    )
    op.create_index("ix_registry_suites_task_id", "suites", ["task_id"], schema=SCHEMA)
    op.create_table(
        "suite_versions",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("version", sa.Integer, primary_key=True),
        sa.Column("sha256", sa.Text, nullable=False),
        sa.Column("cases", sa.Integer, nullable=False),
        sa.Column("created_by", sa.Text, nullable=False),
        _moment("created_at"),
        schema=SCHEMA,
    )
    op.create_table(
        "suite_cases",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("version", sa.Integer, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("case_id", sa.Text, nullable=False),
        sa.Column("input", sa.Text, nullable=False),
        sa.Column("expected", sa.Text, nullable=False),
        schema=SCHEMA,
    )
    _create_benchmark_runs()


def _create_benchmark_runs() -> None:
    op.create_table(
        "benchmark_runs",
        sa.Column("run_id", sa.Text, primary_key=True),
        sa.Column("model_name", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("benchmarks", ARRAY(sa.Text), nullable=False),
        sa.Column("most_cases", sa.Integer),
        sa.Column("shots", sa.Integer, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("results", JSONB, nullable=False),
        sa.Column("harness", sa.Text),
        sa.Column("requested_by", sa.Text, nullable=False),
        _moment("due_at"),
        _moment("requested_at"),
        _moment("finished_at", nullable=True),
        schema=SCHEMA,
    )
    op.create_index("ix_registry_benchmark_runs_state", "benchmark_runs", ["state"], schema=SCHEMA)
    of = ["model_name", "version", "requested_at"]
    op.create_index("ix_registry_benchmark_runs_of", "benchmark_runs", of, schema=SCHEMA)


def downgrade() -> None:
    for table in ("benchmark_runs", "suite_cases", "suite_versions", "suites"):
        op.drop_table(table, schema=SCHEMA)

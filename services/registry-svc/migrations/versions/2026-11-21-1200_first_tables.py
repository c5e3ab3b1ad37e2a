"""Tasks and packs, model versions, releases, deployments with their history, evaluations with every answer, conclusions."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from loopwright.migrations import create_messaging_tables_v1

revision = "registry_0001"
down_revision = None
branch_labels = None
depends_on = None

SCHEMA = "registry"
_TABLES = (
    "conclusions", "evaluation_answers", "evaluations", "deployment_changes", "deployments", "releases",
    "model_versions", "task_packs", "tasks", "inbox", "outbox",
)  # fmt: skip


def _moment(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=False)


def _deployment_columns() -> tuple[sa.Column[object], ...]:
    return (
        sa.Column("champion", sa.Text, nullable=False),
        sa.Column("candidates", ARRAY(sa.Text), nullable=False),
        sa.Column("backend_urls", ARRAY(sa.Text), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        _moment("changed_at"),
        sa.Column("changed_by", sa.Text, nullable=False),
    )


def upgrade() -> None:
    create_messaging_tables_v1(op, SCHEMA)
    _create_tasks()
    _create_models()
    _create_deployments()
    _create_proof()


def downgrade() -> None:
    for table in _TABLES:
        op.drop_table(table, schema=SCHEMA)


def _create_tasks() -> None:
    op.create_table(
        "tasks",
        sa.Column("task_id", sa.Text, primary_key=True),
        sa.Column("version", sa.Integer, primary_key=True),
        sa.Column("declaration", JSONB, nullable=False),
        _moment("defined_at"),
        sa.Column("defined_by", sa.Text, nullable=False),
        schema=SCHEMA,
    )
    op.create_table(
        "task_packs",
        sa.Column("file", sa.Text, primary_key=True),
        sa.Column("sha256", sa.Text, nullable=False),
        sa.Column("task_id", sa.Text),
        sa.Column("problems", JSONB, nullable=False),
        _moment("read_at"),
        schema=SCHEMA,
    )


def _create_models() -> None:
    op.create_table(
        "model_versions",
        sa.Column("model_name", sa.Text, primary_key=True),
        sa.Column("version", sa.Integer, primary_key=True),
        sa.Column("task_id", sa.Text, index=True),
        sa.Column("base_model", sa.Text, nullable=False),
        sa.Column("format", sa.Text, nullable=False),
        sa.Column("artifact", JSONB),
        sa.Column("status", sa.Text, nullable=False, index=True),
        sa.Column("job_id", sa.Text, unique=True),
        sa.Column("dataset_version_id", sa.Text),
        sa.Column("mlflow_version", sa.Integer, nullable=False),
        sa.Column("mlflow_run_id", sa.Text, nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("created_by", sa.Text, nullable=False),
        _moment("created_at"),
        _moment("updated_at"),
        schema=SCHEMA,
    )
    op.create_table(
        "releases",
        sa.Column("job_id", sa.Text, primary_key=True),
        sa.Column("job_name", sa.Text, nullable=False),
        sa.Column("task_id", sa.Text, nullable=False, index=True),
        sa.Column("state", sa.Text, nullable=False, index=True),
        sa.Column("base_model", sa.Text, nullable=False),
        sa.Column("training_data", JSONB, nullable=False),
        sa.Column("adapter", JSONB),
        sa.Column("mlflow_run_id", sa.Text),
        sa.Column("model_name", sa.Text),
        sa.Column("model_version", sa.Integer),
        sa.Column("reason", sa.Text),
        sa.Column("attempts", sa.Integer, nullable=False),
        _moment("due_at"),
        sa.Column("traceparent", sa.Text),
        _moment("created_at"),
        _moment("updated_at"),
        schema=SCHEMA,
    )


def _create_deployments() -> None:
    op.create_table(
        "deployments",
        sa.Column("task_id", sa.Text, primary_key=True),
        sa.Column("revision", sa.Integer, nullable=False),
        *_deployment_columns(),
        schema=SCHEMA,
    )
    op.create_table(
        "deployment_changes",
        sa.Column("task_id", sa.Text, primary_key=True),
        sa.Column("revision", sa.Integer, primary_key=True),
        *_deployment_columns(),
        schema=SCHEMA,
    )


def _create_proof() -> None:
    op.create_table(
        "evaluations",
        sa.Column("evaluation_id", sa.Text, primary_key=True),
        sa.Column("job_id", sa.Text, nullable=False, index=True),
        sa.Column("task_id", sa.Text, nullable=False),
        sa.Column("task_version", sa.Integer, nullable=False),
        sa.Column("candidate", sa.Text, nullable=False, index=True),
        sa.Column("champion", sa.Text, nullable=False, index=True),
        sa.Column("held_out_sha256", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("candidate_score", JSONB),
        sa.Column("champion_score", JSONB),
        sa.Column("mcnemar_p", sa.Double),
        sa.Column("passed", sa.Boolean),
        sa.Column("reasons", ARRAY(sa.Text), nullable=False),
        _moment("started_at"),
        sa.Column("finished_at", sa.DateTime(timezone=True)),
        schema=SCHEMA,
    )
    op.create_table(
        "evaluation_answers",
        sa.Column("evaluation_id", sa.Text, primary_key=True),
        sa.Column("variant_id", sa.Text, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("sample_id", sa.Text, nullable=False),
        sa.Column("expected", sa.Text, nullable=False),
        sa.Column("answer", sa.Text),
        sa.Column("error", sa.Text),
        sa.Column("correct", sa.Boolean, nullable=False),
        sa.Column("schema_valid", sa.Boolean, nullable=False),
        sa.Column("latency_ms", sa.Double, nullable=False),
        sa.Column("inference_id", sa.Text),
        _moment("answered_at"),
        schema=SCHEMA,
    )
    op.create_table(
        "conclusions",
        sa.Column("experiment_id", sa.Text, primary_key=True),
        sa.Column("task_id", sa.Text, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("champion", sa.Text, nullable=False),
        sa.Column("candidate", sa.Text, nullable=False, index=True),
        sa.Column("applied", sa.Boolean, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("evidence", JSONB, nullable=False),
        _moment("concluded_at"),
        _moment("recorded_at"),
        schema=SCHEMA,
    )

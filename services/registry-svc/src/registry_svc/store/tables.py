"""Tables of the schema `registry`."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from loopwright.database import messaging_tables

metadata = sa.MetaData(schema="registry")
messaging = messaging_tables(metadata)


def _moment(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=False)


tasks = sa.Table(
    "tasks",
    metadata,
    sa.Column("task_id", sa.Text, primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True),
    sa.Column("declaration", JSONB, nullable=False),
    _moment("defined_at"),
    sa.Column("defined_by", sa.Text, nullable=False),
)

task_packs = sa.Table(
    "task_packs",
    metadata,
    sa.Column("file", sa.Text, primary_key=True),
    sa.Column("sha256", sa.Text, nullable=False),
    sa.Column("task_id", sa.Text),
    sa.Column("problems", JSONB, nullable=False),
    _moment("read_at"),
)

model_versions = sa.Table(
    "model_versions",
    metadata,
    sa.Column("model_name", sa.Text, primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True),
    sa.Column("task_id", sa.Text, index=True),
    sa.Column("base_model", sa.Text, nullable=False),
    sa.Column("format", sa.Text, nullable=False),
    sa.Column("artifact", JSONB(none_as_null=True)),
    sa.Column("status", sa.Text, nullable=False, index=True),
    sa.Column("job_id", sa.Text, unique=True),
    sa.Column("dataset_version_id", sa.Text, index=True),
    sa.Column("data_deprecated_reason", sa.Text),
    sa.Column("data_deprecated_detail", sa.Text),
    sa.Column("data_deprecated_at", sa.DateTime(timezone=True)),
    sa.Column("mlflow_version", sa.Integer, nullable=False),
    sa.Column("mlflow_run_id", sa.Text, nullable=False),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("created_by", sa.Text, nullable=False),
    _moment("created_at"),
    _moment("updated_at"),
)

deprecated_data = sa.Table(
    "deprecated_data",
    metadata,
    sa.Column("dataset_version_id", sa.Text, primary_key=True),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("detail", sa.Text, nullable=False),
    _moment("deprecated_at"),
)

releases = sa.Table(
    "releases",
    metadata,
    sa.Column("job_id", sa.Text, primary_key=True),
    sa.Column("job_name", sa.Text, nullable=False),
    sa.Column("task_id", sa.Text, nullable=False, index=True),
    sa.Column("state", sa.Text, nullable=False, index=True),
    sa.Column("base_model", sa.Text, nullable=False),
    sa.Column("training_data", JSONB, nullable=False),
    sa.Column("adapter", JSONB(none_as_null=True)),
    sa.Column("mlflow_run_id", sa.Text),
    sa.Column("model_name", sa.Text),
    sa.Column("model_version", sa.Integer),
    sa.Column("reason", sa.Text),
    sa.Column("attempts", sa.Integer, nullable=False),
    _moment("due_at"),
    sa.Column("traceparent", sa.Text),
    _moment("created_at"),
    _moment("updated_at"),
)


def _deployment_columns() -> tuple[sa.Column[object], ...]:
    return (
        sa.Column("champion", sa.Text, nullable=False),
        sa.Column("candidates", ARRAY(sa.Text), nullable=False),
        sa.Column("backend_urls", ARRAY(sa.Text), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        _moment("changed_at"),
        sa.Column("changed_by", sa.Text, nullable=False),
    )


deployments = sa.Table(
    "deployments",
    metadata,
    sa.Column("task_id", sa.Text, primary_key=True),
    sa.Column("revision", sa.Integer, nullable=False),
    *_deployment_columns(),
)

deployment_changes = sa.Table(
    "deployment_changes",
    metadata,
    sa.Column("task_id", sa.Text, primary_key=True),
    sa.Column("revision", sa.Integer, primary_key=True),
    *_deployment_columns(),
)

evaluations = sa.Table(
    "evaluations",
    metadata,
    sa.Column("evaluation_id", sa.Text, primary_key=True),
    sa.Column("job_id", sa.Text, nullable=False, index=True),
    sa.Column("task_id", sa.Text, nullable=False),
    sa.Column("task_version", sa.Integer, nullable=False),
    sa.Column("candidate", sa.Text, nullable=False, index=True),
    sa.Column("champion", sa.Text, nullable=False, index=True),
    sa.Column("held_out_sha256", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("candidate_score", JSONB(none_as_null=True)),
    sa.Column("champion_score", JSONB(none_as_null=True)),
    sa.Column("mcnemar_p", sa.Double),
    sa.Column("passed", sa.Boolean),
    sa.Column("reasons", ARRAY(sa.Text), nullable=False),
    _moment("started_at"),
    sa.Column("finished_at", sa.DateTime(timezone=True)),
)

evaluation_answers = sa.Table(
    "evaluation_answers",
    metadata,
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
)

conclusions = sa.Table(
    "conclusions",
    metadata,
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
)

"""Tables of the schema `registry`."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from loopwright.contracts.base import Artifact
from loopwright.database import AsJson, messaging_tables
from registry_svc.domain.models import DeploymentSettings
from registry_svc.domain.proof import Proof
from registry_svc.domain.training_card import TrainingCard

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
    sa.Column("tags", ARRAY(sa.Text), nullable=False, server_default="{}"),
    sa.Column("settings", AsJson(DeploymentSettings), nullable=False, server_default="{}"),
    sa.Column("parent", sa.Text),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("card", AsJson(TrainingCard)),
    sa.Column("proof", AsJson(Proof)),
    _moment("status_changed_at"),
    sa.Column("card_logged_at", sa.DateTime(timezone=True)),
    sa.Index("ix_registry_model_versions_tags", "tags", postgresql_using="gin"),
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
    sa.Column("kind", sa.Text, nullable=False, server_default="gate"),
    sa.Column("job_id", sa.Text, index=True),
    sa.Column("suite_id", sa.Text, index=True),
    sa.Column("task_id", sa.Text, nullable=False, index=True),
    sa.Column("task_version", sa.Integer, nullable=False),
    sa.Column("candidate", sa.Text, nullable=False, index=True),
    sa.Column("champion", sa.Text, nullable=False, index=True),
    sa.Column("held_out_sha256", sa.Text, nullable=False),
    sa.Column("cases", JSONB(none_as_null=True)),
    sa.Column("extras", ARRAY(sa.Text), nullable=False, server_default="{}"),
    sa.Column("state", sa.Text, nullable=False, index=True),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    sa.Column("due_at", sa.DateTime(timezone=True)),
    sa.Column("waits_for", sa.Text),
    sa.Column("traceparent", sa.Text),
    sa.Column("candidate_score", JSONB(none_as_null=True)),
    sa.Column("champion_score", JSONB(none_as_null=True)),
    sa.Column("mcnemar_p", sa.Double),
    sa.Column("metrics", JSONB(none_as_null=True)),
    sa.Column("passed", sa.Boolean),
    sa.Column("reasons", ARRAY(sa.Text), nullable=False),
    sa.Column("requested_by", sa.Text, nullable=False, server_default="registry-svc"),
    _moment("started_at"),
    sa.Column("finished_at", sa.DateTime(timezone=True)),
)

evaluation_answers = sa.Table(
    "evaluation_answers",
    metadata,
    sa.Column("evaluation_id", sa.Text, primary_key=True),
    sa.Column("variant_id", sa.Text, primary_key=True),
    sa.Column("part", sa.Text, primary_key=True, server_default="cases"),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("sample_id", sa.Text, nullable=False),
    sa.Column("input", sa.Text),
    sa.Column("expected", sa.Text, nullable=False),
    sa.Column("answer", sa.Text),
    sa.Column("error", sa.Text),
    sa.Column("correct", sa.Boolean, nullable=False),
    sa.Column("schema_valid", sa.Boolean, nullable=False),
    sa.Column("latency_ms", sa.Double, nullable=False),
    sa.Column("output_tokens", sa.Integer),
    sa.Column("scores", JSONB, nullable=False, server_default="{}"),
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

replicas = sa.Table(
    "replicas",
    metadata,
    sa.Column("url", sa.Text, primary_key=True),
    sa.Column("problem", sa.Text),
    sa.Column("models", JSONB, nullable=False),
    sa.Column("capacity", sa.Integer),
    sa.Column("capacity_source", sa.Text, nullable=False),
    _moment("seen_at"),
)

adapter_holds = sa.Table(
    "adapter_holds",
    metadata,
    sa.Column("variant_id", sa.Text, primary_key=True),
    _moment("held_until"),
)

promotion_watches = sa.Table(
    "promotion_watches",
    metadata,
    sa.Column("task_id", sa.Text, primary_key=True),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("champion", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False, index=True),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("baseline", JSONB(none_as_null=True)),
    _moment("started_at"),
    _moment("ends_at"),
)

model_servers = sa.Table(
    "model_servers",
    metadata,
    sa.Column("served_name", sa.Text, primary_key=True),
    sa.Column("model_name", sa.Text, nullable=False),
    sa.Column("model_version", sa.Integer, nullable=False),
    sa.Column("port", sa.Integer, nullable=False, unique=True),
    sa.Column("wanted", sa.Boolean, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("pid", sa.Integer),
    sa.Column("process_start", sa.Text),
    sa.Column("failures", sa.Integer, nullable=False),
    sa.Column("reason", sa.Text),
    _moment("due_at"),
    _moment("updated_at"),
)

model_uses = sa.Table(
    "model_uses",
    metadata,
    sa.Column("use_id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("model_name", sa.Text, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("task_id", sa.Text),
    sa.Column("status", sa.Text),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("by", sa.Text, nullable=False),
    _moment("at"),
    sa.Index("ix_registry_model_uses_of", "model_name", "version", "use_id"),
)

registrations = sa.Table(
    "registrations",
    metadata,
    sa.Column("registration_id", sa.Text, primary_key=True),
    sa.Column("state", sa.Text, nullable=False, index=True),
    sa.Column("model_name", sa.Text, nullable=False),
    sa.Column("model_version", sa.Integer),
    sa.Column("task_id", sa.Text, nullable=False),
    sa.Column("base_model", sa.Text, nullable=False),
    sa.Column("format", sa.Text, nullable=False),
    sa.Column("artifact", AsJson(Artifact), nullable=False),
    sa.Column("job_id", sa.Text),
    sa.Column("dataset_version_id", sa.Text),
    sa.Column("mlflow_run_id", sa.Text),
    sa.Column("settings", AsJson(DeploymentSettings), nullable=False),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("tags", ARRAY(sa.Text), nullable=False),
    sa.Column("reason", sa.Text),
    sa.Column("attempts", sa.Integer, nullable=False),
    _moment("due_at"),
    sa.Column("requested_by", sa.Text, nullable=False),
    _moment("created_at"),
    _moment("updated_at"),
)

mlflow_findings = sa.Table(
    "mlflow_findings",
    metadata,
    sa.Column("model_name", sa.Text, primary_key=True),
    sa.Column("mlflow_version", sa.Integer, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("detail", sa.Text, nullable=False),
    _moment("found_at"),
)

suites = sa.Table(
    "suites",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("task_id", sa.Text, nullable=False, index=True),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("created_by", sa.Text, nullable=False),
    _moment("created_at"),
    sa.Column("archived_at", sa.DateTime(timezone=True)),
)

suite_versions = sa.Table(
    "suite_versions",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True),
    sa.Column("sha256", sa.Text, nullable=False),
    sa.Column("cases", sa.Integer, nullable=False),
    sa.Column("created_by", sa.Text, nullable=False),
    _moment("created_at"),
)

suite_cases = sa.Table(
    "suite_cases",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("case_id", sa.Text, nullable=False),
    sa.Column("input", sa.Text, nullable=False),
    sa.Column("expected", sa.Text, nullable=False),
)

benchmark_runs = sa.Table(
    "benchmark_runs",
    metadata,
    sa.Column("run_id", sa.Text, primary_key=True),
    sa.Column("model_name", sa.Text, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("benchmarks", ARRAY(sa.Text), nullable=False),
    sa.Column("most_cases", sa.Integer),
    sa.Column("shots", sa.Integer, nullable=False),
    sa.Column("state", sa.Text, nullable=False, index=True),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("reason", sa.Text),
    sa.Column("results", JSONB, nullable=False),
    sa.Column("harness", sa.Text),
    sa.Column("requested_by", sa.Text, nullable=False),
    _moment("due_at"),
    _moment("requested_at"),
    sa.Column("finished_at", sa.DateTime(timezone=True)),
    sa.Index("ix_registry_benchmark_runs_of", "model_name", "version", "requested_at"),
)

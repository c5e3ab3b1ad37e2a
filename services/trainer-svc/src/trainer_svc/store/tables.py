"""Tables of the schema `trainer`."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from loopwright.contracts.base import Artifact
from loopwright.contracts.jobs import TrainingData
from loopwright.contracts.tasks import Hyperparameters, TrainingPolicy
from loopwright.database import AsJson, messaging_tables
from trainer_svc.domain.deprecations import DataDeprecation

metadata = sa.MetaData(schema="trainer")
messaging = messaging_tables(metadata)
_TIME = sa.DateTime(timezone=True)
_NAMES = ARRAY(sa.Text, as_tuple=True)

policies = sa.Table(
    "policies",
    metadata,
    sa.Column("task_id", sa.Text, primary_key=True),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("base_model", sa.Text, nullable=False),
    sa.Column("training", AsJson(TrainingPolicy), nullable=False),
)

dataset_versions = sa.Table(
    "dataset_versions",
    metadata,
    sa.Column("version_id", sa.Text, primary_key=True),
    sa.Column("dataset_id", sa.Text, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("task_id", sa.Text, nullable=False),
    sa.Column("training_data", AsJson(TrainingData), nullable=False),
    sa.Column("validated_at", _TIME, nullable=False),
    sa.Index("dataset_versions_dataset", "dataset_id", "version"),
)

deprecated_versions = sa.Table(
    "deprecated_versions",
    metadata,
    sa.Column("version_id", sa.Text, primary_key=True),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("detail", sa.Text, nullable=False),
    sa.Column("deprecated_at", _TIME, nullable=False),
)

jobs = sa.Table(
    "jobs",
    metadata,
    sa.Column("job_id", sa.Text, primary_key=True),
    sa.Column("job_name", sa.Text, nullable=False),
    sa.Column("task_id", sa.Text, nullable=False),
    sa.Column("base_model", sa.Text, nullable=False),
    sa.Column("training_data", AsJson(TrainingData), nullable=False),
    sa.Column("training_data_deprecated", AsJson(DataDeprecation)),
    sa.Column("method", sa.Text, nullable=False),
    sa.Column("objective", sa.Text, nullable=False),
    sa.Column("hyperparameters", AsJson(Hyperparameters), nullable=False),
    sa.Column("kind", sa.Text, nullable=False, server_default="train"),
    sa.Column("source_adapter", AsJson(Artifact)),
    sa.Column("priority", sa.Integer, nullable=False, server_default="0"),
    sa.Column("devices", _NAMES, nullable=False, server_default="{}"),
    sa.Column("device_count", sa.Integer, nullable=False, server_default="1"),
    sa.Column("study_id", sa.Text),
    sa.Column("requested_by", sa.Text, nullable=False),
    sa.Column("requested_at", _TIME, nullable=False),
    sa.Column("queued_at", _TIME, nullable=False, server_default=sa.func.now()),
    sa.Column("estimated_s", sa.Float),
    sa.Column("traceparent", sa.Text),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("reason", sa.Text),
    sa.Column("stop_requested", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("attempt", sa.Integer, nullable=False, server_default="0"),
    sa.Column("attempts_forgiven", sa.Integer, nullable=False, server_default="0"),
    sa.Column("resume_from_step", sa.Integer),
    sa.Column("lease_owner", sa.Text),
    sa.Column("lease_expires_at", _TIME),
    sa.Column("device", sa.Text),  # the first of its slots, which the release before job_devices locks by
    sa.Column("ran_on", _NAMES, nullable=False, server_default="{}"),
    sa.Column("memory_bytes", sa.BigInteger),
    sa.Column("step", sa.Integer, nullable=False, server_default="0"),
    sa.Column("total_steps", sa.Integer, nullable=False, server_default="0"),
    sa.Column("loss", sa.Float),
    sa.Column("validation_loss", sa.Float),
    sa.Column("tokens_per_s", sa.Float),
    sa.Column("eta_s", sa.Float),
    sa.Column("tokens", sa.BigInteger),
    sa.Column("train_s", sa.Float),
    sa.Column("adapter", AsJson(Artifact)),
    sa.Column("product", AsJson(Artifact)),
    sa.Column("mlflow_run_id", sa.Text),
    sa.Column("started_at", _TIME),
    sa.Column("last_started_at", _TIME),
    sa.Column("finished_at", _TIME),
    sa.Index("jobs_queue", "state", "requested_at"),
    sa.Index("jobs_device", "device", unique=True, postgresql_where=sa.text("state = 'running'")),
)

# one job a slot: the database itself refuses a second one; a job on several slots has a row for each
job_devices = sa.Table(
    "job_devices",
    metadata,
    sa.Column("worker", sa.Text, primary_key=True),
    sa.Column("slot", sa.Text, primary_key=True),
    sa.Column("job_id", sa.Text, sa.ForeignKey(jobs.c.job_id, ondelete="CASCADE"), nullable=False),
    sa.Index("job_devices_job", "job_id"),
)

workers = sa.Table(
    "workers",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("slots", _NAMES, nullable=False),
    sa.Column("base_models", _NAMES, nullable=False),
    sa.Column("trainers", _NAMES, nullable=False),
    sa.Column("most_jobs", sa.Integer, nullable=False),
    sa.Column("total_bytes", JSONB, nullable=False),
    sa.Column("free_bytes", JSONB, nullable=False),
    sa.Column("last_seen", _TIME, nullable=False),
    sa.Column("alive_until", _TIME, nullable=False),
)

# a request that is delivered late must not bring back what somebody deleted
deleted_jobs = sa.Table(
    "deleted_jobs",
    metadata,
    sa.Column("job_id", sa.Text, primary_key=True),
    sa.Column("deleted_by", sa.Text, nullable=False),
    sa.Column("deleted_at", _TIME, nullable=False),
)

metrics = sa.Table(
    "job_metrics",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("job_id", sa.Text, sa.ForeignKey(jobs.c.job_id, ondelete="CASCADE"), nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("step", sa.Integer, nullable=False),
    sa.Column("epoch", sa.Float, nullable=False),
    sa.Column("loss", sa.Float),
    sa.Column("validation_loss", sa.Float),
    sa.Column("learning_rate", sa.Float),
    sa.Column("grad_norm", sa.Float),
    sa.Column("reward_margin", sa.Float),
    sa.Column("reward_accuracy", sa.Float),
    sa.Column("tokens_per_s", sa.Float),
    sa.Column("device_memory_bytes", sa.BigInteger),
    sa.Column("at", _TIME, nullable=False),
    sa.Index("job_metrics_job", "job_id", "id"),
)

checkpoints = sa.Table(
    "checkpoints",
    metadata,
    sa.Column("job_id", sa.Text, sa.ForeignKey(jobs.c.job_id, ondelete="CASCADE"), primary_key=True),
    sa.Column("step", sa.Integer, primary_key=True),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("epoch", sa.Float, nullable=False),
    sa.Column("loss", sa.Float),
    sa.Column("validation_loss", sa.Float),
    sa.Column("path", sa.Text, nullable=False),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.Column("at", _TIME, nullable=False),
)

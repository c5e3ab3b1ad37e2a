"""Tables of the schema `trainer`."""

import sqlalchemy as sa

from loopwright.contracts.base import Artifact
from loopwright.contracts.jobs import TrainingData
from loopwright.contracts.tasks import Hyperparameters, TrainingPolicy
from loopwright.database import AsJson, messaging_tables
from trainer_svc.domain.deprecations import DataDeprecation

metadata = sa.MetaData(schema="trainer")
messaging = messaging_tables(metadata)
_TIME = sa.DateTime(timezone=True)

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
    sa.Column("adapter", AsJson(Artifact)),
    sa.Column("mlflow_run_id", sa.Text),
    sa.Column("started_at", _TIME),
    sa.Column("finished_at", _TIME),
    sa.Index("jobs_queue", "state", "requested_at"),
    # one running job a device: the database itself refuses a second one
    sa.Index("jobs_device", "device", unique=True, postgresql_where=sa.text("state = 'running'")),
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
    sa.Column("path", sa.Text, nullable=False),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.Column("at", _TIME, nullable=False),
)

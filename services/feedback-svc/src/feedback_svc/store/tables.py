"""Tables of the schema `feedback`."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from loopwright.database import messaging_tables

metadata = sa.MetaData(schema="feedback")
messaging = messaging_tables(metadata)


def _moment(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


tasks = sa.Table(
    "tasks",
    metadata,
    sa.Column("task_id", sa.Text, primary_key=True),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("policies", JSONB, nullable=False),
    _moment("defined_at"),
)

deployments = sa.Table(
    "deployments",
    metadata,
    sa.Column("task_id", sa.Text, primary_key=True),
    sa.Column("revision", sa.BigInteger, nullable=False),
    sa.Column("champion_variant_id", sa.Text, nullable=False),
    sa.Column("candidate_variant_ids", ARRAY(sa.Text), nullable=False),
    _moment("changed_at"),
)

inferences = sa.Table(
    "inferences",
    metadata,
    sa.Column("inference_id", sa.Text, primary_key=True),
    sa.Column("task_id", sa.Text, nullable=False),
    sa.Column("task_version", sa.BigInteger, nullable=False),
    sa.Column("experiment_id", sa.Text),
    sa.Column("variant_id", sa.Text, nullable=False),
    sa.Column("served_variant_id", sa.Text, nullable=False),
    sa.Column("pinned", sa.Boolean, nullable=False),
    sa.Column("fallback", sa.Boolean, nullable=False),
    sa.Column("unit_hash", sa.Text, nullable=False),
    # json, not jsonb: it is read back whole and never searched, and costs no parsing
    sa.Column("content", sa.JSON, nullable=False),
    sa.Column("http_status", sa.Integer, nullable=False),
    sa.Column("finish_reason", sa.Text),
    sa.Column("prompt_tokens", sa.BigInteger),
    sa.Column("completion_tokens", sa.BigInteger),
    sa.Column("first_byte_ms", sa.Double),
    sa.Column("latency_ms", sa.Double, nullable=False),
    _moment("completed_at"),
    _moment("received_at"),
    sa.Index("ix_inferences_by_task", "task_id", "completed_at"),
    sa.Index("ix_inferences_by_unit", "unit_hash"),
)

ratings = sa.Table(
    "ratings",
    metadata,
    sa.Column("rating_id", sa.Text, primary_key=True),
    sa.Column("inference_id", sa.Text, nullable=False),
    sa.Column("task_id", sa.Text, nullable=False),
    sa.Column("experiment_id", sa.Text),
    sa.Column("variant_id", sa.Text, nullable=False),
    sa.Column("unit_hash", sa.Text, nullable=False),
    sa.Column("rater_hash", sa.Text, nullable=False),
    sa.Column("metric", sa.Text, nullable=False),
    sa.Column("value", sa.Double),
    sa.Column("remarks", sa.JSON, nullable=False),
    sa.Column("counts", sa.Boolean, nullable=False),
    _moment("rated_at"),
    _moment("received_at"),
    sa.Index("ix_ratings_by_inference", "inference_id"),
    sa.Index("ix_ratings_by_task", "task_id", "rated_at"),
    sa.Index("ix_ratings_by_unit", "unit_hash"),
    sa.Index("ix_ratings_by_rater", "rater_hash"),
)
sa.Index(
    "uq_ratings_seat",
    ratings.c.inference_id, ratings.c.rater_hash, ratings.c.metric, ratings.c.value.is_(None),
    unique=True, postgresql_where=ratings.c.counts,
)  # fmt: skip
sa.Index(
    "ix_ratings_of_experiment",
    ratings.c.experiment_id, ratings.c.metric,
    postgresql_where=ratings.c.counts & ratings.c.experiment_id.is_not(None),
)  # fmt: skip

samples = sa.Table(
    "samples",
    metadata,
    sa.Column("sample_id", sa.Text, primary_key=True),
    sa.Column("task_id", sa.Text, nullable=False),
    sa.Column("inference_id", sa.Text, nullable=False),
    sa.Column("unit_hash", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("lesson", sa.JSON, nullable=False),
    sa.Column("rating_ids", ARRAY(sa.Text), nullable=False),
    sa.Column("weight_0_1", sa.Double, nullable=False),
    sa.Column("request_number", sa.Integer),
    sa.Column("traceparent", sa.Text),
    _moment("formed_at"),
    _moment("changed_at"),
    sa.Index("ix_samples_by_inference", "inference_id"),
    sa.Index("ix_samples_by_unit", "unit_hash"),
    sa.Index("ix_samples_by_request", "task_id", "request_number"),
)
sa.Index("uq_samples_ready", samples.c.inference_id, unique=True, postgresql_where=samples.c.state == "ready")
sa.Index(
    "ix_samples_ready_by_task", samples.c.task_id, samples.c.changed_at, postgresql_where=samples.c.state == "ready"
)

dataset_requests = sa.Table(
    "dataset_requests",
    metadata,
    sa.Column("request_id", sa.Text, primary_key=True),
    sa.Column("task_id", sa.Text, nullable=False),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("new_samples", sa.Integer, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("data_policy", JSONB, nullable=False),
    sa.Column("traceparent", sa.Text),
    _moment("requested_at"),
    sa.Column("source", JSONB(none_as_null=True)),
    sa.Column("sample_count", sa.Integer),
    _moment("announced_at", nullable=True),
    # an erased export keeps its row and the hash of what it was
    _moment("erased_at", nullable=True),
    sa.Column("erased_because", sa.Text),
    sa.UniqueConstraint("task_id", "number", name="uq_dataset_requests_number"),
)
sa.Index(
    "ix_dataset_requests_pending",
    dataset_requests.c.requested_at,
    postgresql_where=dataset_requests.c.state == "pending",
)

evaluations = sa.Table(
    "evaluations",
    metadata,
    sa.Column("evaluation_id", sa.Text, primary_key=True),
    sa.Column("task_id", sa.Text, nullable=False),
    sa.Column("candidate_variant_id", sa.Text, nullable=False),
    sa.Column("passed", sa.Boolean, nullable=False),
    _moment("evaluated_at"),
)

experiments = sa.Table(
    "experiments",
    metadata,
    sa.Column("experiment_id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("task_id", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("salt", sa.Text, nullable=False),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("champion_variant_id", sa.Text, nullable=False),
    sa.Column("candidate_variant_id", sa.Text, nullable=False),
    sa.Column("candidate_share_0_1", sa.Double, nullable=False),
    sa.Column("metric", JSONB, nullable=False),
    sa.Column("rollout", JSONB, nullable=False),
    _moment("known_at"),
    sa.Column("traceparent", sa.Text),
    _moment("created_at"),
    sa.Column("created_by", sa.Text, nullable=False),
    _moment("started_at", nullable=True),
    _moment("ended_at", nullable=True),
    sa.Column("outcome", sa.Text),
    sa.Column("winner_variant_id", sa.Text),
    sa.Column("reason", sa.Text),
    sa.Column("concluded_by", sa.Text),
    sa.Column("champion", JSONB, nullable=False),
    sa.Column("candidate", JSONB, nullable=False),
    sa.Column("evidence", JSONB(none_as_null=True)),
    sa.Index("ix_experiments_by_task", "task_id", "state"),
)
sa.Index(
    "uq_experiments_running", experiments.c.task_id, unique=True, postgresql_where=experiments.c.state == "running"
)

experiment_users = sa.Table(
    "experiment_users",
    metadata,
    sa.Column("experiment_id", sa.Text, primary_key=True),
    sa.Column("variant_id", sa.Text, primary_key=True),
    sa.Column("unit_hash", sa.Text, primary_key=True),
    sa.Column("ratings", sa.BigInteger, nullable=False),
    sa.Column("total", sa.Double, nullable=False),
)

upstream_records = sa.Table(
    "upstream_records",
    metadata,
    sa.Column("origin", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("record_id", sa.Text, primary_key=True),
    sa.Column("records", sa.Integer, nullable=False),
    sa.Column("content", sa.JSON, nullable=False),
    sa.Column("deliveries", sa.Integer, nullable=False),
    # unit hashes and inference ids in it: by these an erasure finds it
    sa.Column("subjects", ARRAY(sa.Text), nullable=False, server_default="{}"),
    _moment("published_at"),
    _moment("received_at"),
    _moment("erased_at", nullable=True),
    sa.Index("ix_upstream_records_by_time", "received_at"),
    sa.Index("ix_upstream_records_by_subject", "subjects", postgresql_using="gin"),
)

erasures = sa.Table(
    "erasures",
    metadata,
    sa.Column("unit_hash", sa.Text, primary_key=True),
    sa.Column("erasure_id", sa.Text, nullable=False),
    _moment("erased_at"),
    _moment("handled_at"),
    # how many rows lost words by it
    *(sa.Column(name, sa.BigInteger, nullable=False) for name in ("inferences", "ratings", "samples", "records")),
)

export_deletions = sa.Table(
    "export_deletions",
    metadata,
    sa.Column("uri", sa.Text, primary_key=True),
    sa.Column("erasure_id", sa.Text),
    sa.Column("reason", sa.Text, nullable=False),
    _moment("due_at"),
    _moment("deleted_at", nullable=True),
)
sa.Index("ix_export_deletions_due", export_deletions.c.due_at, postgresql_where=export_deletions.c.deleted_at.is_(None))

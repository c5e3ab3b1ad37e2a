"""Tables of the schema `feedback`."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from loopwright.database import messaging_tables
from loopwright.sealed_columns import data_keys_table

metadata = sa.MetaData(schema="feedback")
messaging = messaging_tables(metadata)
data_keys = data_keys_table(metadata)


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
    sa.Column("content", sa.LargeBinary),  # sealed JSON
    sa.Column("http_status", sa.Integer, nullable=False),
    sa.Column("finish_reason", sa.Text),
    sa.Column("prompt_tokens", sa.BigInteger),
    sa.Column("completion_tokens", sa.BigInteger),
    sa.Column("first_byte_ms", sa.Double),
    sa.Column("latency_ms", sa.Double, nullable=False),
    sa.Column("epoch", sa.Integer),
    sa.Column("arm", sa.Integer),
    sa.Column("propensity_0_1", sa.Double),
    sa.Column("shadow_of", sa.Text),
    sa.Column("tenant", sa.Text),
    # what was said, as the router sealed it, where the task's privacy says so; `content` is empty then
    sa.Column("sealed_content", sa.Text),
    # whether the answer begins as a refusal does; stays when its words go
    sa.Column("refuses", sa.Boolean),
    _moment("completed_at"),
    _moment("received_at"),
    sa.Index("ix_inferences_by_task", "task_id", "completed_at"),
    sa.Index("ix_inferences_by_unit", "unit_hash"),
)

sa.Index(
    "ix_inferences_of_experiment",
    inferences.c.experiment_id,
    postgresql_where=inferences.c.experiment_id.is_not(None),
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
    sa.Column("remarks", sa.LargeBinary),  # sealed JSON
    sa.Column("counts", sa.Boolean, nullable=False),
    sa.Column("traceparent", sa.Text),
    sa.Column("epoch", sa.Integer),
    sa.Column("arm", sa.Integer),
    sa.Column("tenant", sa.Text),
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
    ratings.c.experiment_id, ratings.c.unit_hash,
    postgresql_where=ratings.c.counts & ratings.c.experiment_id.is_not(None),
)  # fmt: skip

samples = sa.Table(
    "samples",
    metadata,
    sa.Column("sample_id", sa.Text, primary_key=True),
    sa.Column("task_id", sa.Text, nullable=False),
    # of a sample that was learned from upstream records: none, or the person whom they name
    sa.Column("inference_id", sa.Text),
    sa.Column("unit_hash", sa.Text),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("lesson", sa.LargeBinary, nullable=False),  # sealed JSON
    sa.Column("rating_ids", ARRAY(sa.Text), nullable=False),
    sa.Column("weight_0_1", sa.Double, nullable=False),
    sa.Column("request_number", sa.Integer),
    sa.Column("traceparent", sa.Text),
    _moment("formed_at"),
    _moment("changed_at"),
    # of a sample that was learned from upstream records: which source, its key there, the records, whom they name
    sa.Column("collected_from", sa.Text),
    sa.Column("source_key", sa.Text),
    sa.Column("record_ids", ARRAY(sa.Text), nullable=False, server_default="{}"),
    sa.Column("subjects", ARRAY(sa.Text), nullable=False, server_default="{}"),
    sa.Column("rater", sa.Text),
    sa.Column("claim", sa.Text),  # hash of its answer, as `source_records.claim`
    # by curation: why it is quarantined, how far it is believed, and the person who vouches for it
    sa.Column("held_because", sa.Text),
    sa.Column("trust_0_1", sa.Double, nullable=False, server_default="1"),
    sa.Column("vouched_by", sa.Text),
    # request from which on another sample of the same key has taken its place
    sa.Column("left_at_request", sa.Integer),
    sa.Index("ix_samples_by_inference", "inference_id"),
    sa.Index("ix_samples_by_subject", "subjects", postgresql_using="gin"),
    sa.Index("ix_samples_by_source_key", "task_id", "collected_from", "source_key"),
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
    # known end of what it set off: a dataset that was refused, or a model that was evaluated
    _moment("ended_at", nullable=True),
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
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("salt", sa.Text, nullable=False),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("epoch", sa.Integer, nullable=False),
    # planned looks of a group-sequential experiment that were taken
    sa.Column("looks_taken", sa.Integer, nullable=False),
    sa.Column("champion_variant_id", sa.Text, nullable=False),
    sa.Column("candidate_variant_id", sa.Text, nullable=False),
    sa.Column("further_candidate_ids", ARRAY(sa.Text), nullable=False),
    sa.Column("weights_0_1", ARRAY(sa.Double), nullable=False),
    sa.Column("metric", JSONB, nullable=False),
    sa.Column("rollout", JSONB, nullable=False),
    sa.Column("layer", JSONB(none_as_null=True)),
    sa.Column("excluded_units", ARRAY(sa.Text), nullable=False),
    sa.Column("forced_units", JSONB, nullable=False),
    _moment("known_at"),
    sa.Column("traceparent", sa.Text),
    _moment("created_at"),
    sa.Column("created_by", sa.Text, nullable=False),
    _moment("queued_at", nullable=True),
    _moment("started_at", nullable=True),
    _moment("ended_at", nullable=True),
    sa.Column("verdict", sa.Text),
    sa.Column("winner_variant_id", sa.Text),
    sa.Column("reason", sa.Text),
    sa.Column("concluded_by", sa.Text),
    # what was found at the end; what arrives later changes nothing in it
    sa.Column("findings", JSONB(none_as_null=True)),
    sa.Index("ix_experiments_by_task", "task_id", "state"),
)
sa.Index("ix_experiments_active", experiments.c.experiment_id, postgresql_where=experiments.c.ended_at.is_(None))

experiment_epochs = sa.Table(
    "experiment_epochs",
    metadata,
    sa.Column("experiment_id", sa.Text, primary_key=True),
    sa.Column("epoch", sa.Integer, primary_key=True),
    sa.Column("weights_0_1", ARRAY(sa.Double), nullable=False),
    _moment("began_at"),
)

experiment_changes = sa.Table(
    "experiment_changes",
    metadata,
    sa.Column("number", sa.BigInteger, sa.Identity(), primary_key=True),
    sa.Column("experiment_id", sa.Text, nullable=False),
    sa.Column("from_state", sa.Text),
    sa.Column("to_state", sa.Text, nullable=False),
    sa.Column("epoch", sa.Integer, nullable=False),
    _moment("changed_at"),
    sa.Column("changed_by", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Index("ix_experiment_changes_by_experiment", "experiment_id", "number"),
)

# all but exposures follows from the ratings that count, and is counted anew whenever one of them changes
experiment_users = sa.Table(
    "experiment_users",
    metadata,
    sa.Column("experiment_id", sa.Text, primary_key=True),
    sa.Column("unit_hash", sa.Text, primary_key=True),
    sa.Column("epoch", sa.Integer, primary_key=True),
    sa.Column("arm", sa.Integer, primary_key=True),
    sa.Column("exposures", sa.BigInteger, nullable=False),
    _moment("first_exposed_at", nullable=True),
    sa.Column("ratings", sa.BigInteger, nullable=False),
    sa.Column("total", sa.Double, nullable=False),
    sa.Column("squares", sa.Double, nullable=False),
    # of the same metric and task, before the unit was exposed first
    sa.Column("prior_ratings", sa.BigInteger, nullable=False),
    sa.Column("prior_total", sa.Double, nullable=False),
)

# of answers in experiments that watch it; an answer whose words are gone keeps its figure
answer_toxicity = sa.Table(
    "answer_toxicity",
    metadata,
    sa.Column("inference_id", sa.Text, primary_key=True),
    sa.Column("toxicity_0_1", sa.Double, nullable=False),
)

upstream_records = sa.Table(
    "upstream_records",
    metadata,
    sa.Column("origin", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("record_id", sa.Text, primary_key=True),
    sa.Column("records", sa.Integer, nullable=False),
    sa.Column("content", sa.LargeBinary),  # sealed JSON
    sa.Column("deliveries", sa.Integer, nullable=False),
    # unit hashes and inference ids in it: by these an erasure finds it
    sa.Column("subjects", ARRAY(sa.Text), nullable=False, server_default="{}"),
    _moment("published_at"),
    _moment("received_at"),
    _moment("erased_at", nullable=True),
    # `published_at`, or `erased_at`, of the version that was checked against its schema
    _moment("inspected_as", nullable=True),
    sa.Index("ix_upstream_records_by_time", "received_at"),
    sa.Index("ix_upstream_records_by_subject", "subjects", postgresql_using="gin"),
)
sa.Index(
    "ix_upstream_records_uninspected", upstream_records.c.received_at,
    postgresql_where=sa.text("inspected_as IS DISTINCT FROM coalesce(erased_at, published_at)"),
)  # fmt: skip

source_records = sa.Table(
    "source_records",
    metadata,
    sa.Column("origin", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("record_id", sa.Text, primary_key=True),
    sa.Column("source", sa.Text),  # none for a kind that nobody reads
    sa.Column("group_key", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("reason", sa.Text),
    sa.Column("rater", sa.Text),
    sa.Column("claim", sa.Text),  # hash of what the rater says of the group
    sa.Column("position", sa.BigInteger, nullable=False),  # rises with every version that is inspected
    _moment("published_at"),
    _moment("inspected_at"),
    sa.UniqueConstraint("position", name="uq_source_records_position"),
    sa.Index("ix_source_records_by_position", "source", "position"),
    sa.Index("ix_source_records_by_group", "source", "group_key"),
    sa.Index("ix_source_records_by_rater", "source", "rater"),
)

collections = sa.Table(
    "collections",
    metadata,
    sa.Column("run_id", sa.Text, primary_key=True),
    sa.Column("task_id", sa.Text, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("requested_by", sa.Text, nullable=False),
    _moment("requested_at"),
    _moment("finished_at", nullable=True),
    sa.Column("options", JSONB, nullable=False),
    sa.Column("from_position", sa.BigInteger, nullable=False),
    sa.Column("position", sa.BigInteger, nullable=False),
    sa.Column("counts", JSONB, nullable=False),
    sa.Column("error", sa.Text),
    sa.Index("ix_collections_by_task", "task_id", "source", "requested_at"),
)
sa.Index(
    "uq_collections_open", collections.c.task_id, collections.c.source, unique=True,
    postgresql_where=collections.c.finished_at.is_(None),
)  # fmt: skip

evidence_exports = sa.Table(
    "evidence_exports",
    metadata,
    sa.Column("export_id", sa.Text, primary_key=True),
    sa.Column("task_id", sa.Text, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("source_ids", ARRAY(sa.Text), nullable=False),
    sa.Column("subjects", ARRAY(sa.Text), nullable=False),
    sa.Column("count", sa.Integer, nullable=False),
    sa.Column("artifact", JSONB(none_as_null=True)),
    sa.Column("error", sa.Text),
    _moment("due_at"),
    _moment("made_at"),
    _moment("erased_at", nullable=True),
    sa.UniqueConstraint("task_id", "source", "due_at", name="uq_evidence_exports_due"),
    sa.Index("ix_evidence_exports_by_subject", "subjects", postgresql_using="gin"),
)

retraining_signals = sa.Table(
    "retraining_signals",
    metadata,
    sa.Column("signal_id", sa.Text, primary_key=True),
    sa.Column("task_id", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("detail", sa.Text, nullable=False),
    sa.Column("raised_by", sa.Text, nullable=False),
    _moment("raised_at"),
    sa.Column("request_id", sa.Text),  # that answered it
    sa.Index("ix_retraining_signals_by_task", "task_id", "raised_at"),
)
sa.Index(
    "uq_retraining_signals_open", retraining_signals.c.task_id, retraining_signals.c.kind, unique=True,
    postgresql_where=retraining_signals.c.request_id.is_(None),
)  # fmt: skip

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

alerts = sa.Table(
    "alerts",
    metadata,
    sa.Column("alert_id", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("task_id", sa.Text),
    sa.Column("severity", sa.Text, nullable=False),
    sa.Column("detail", sa.Text, nullable=False),
    sa.Column("occurrences", sa.BigInteger, nullable=False),
    _moment("raised_at"),
    _moment("last_at"),
    _moment("acknowledged_at", nullable=True),
    sa.Column("acknowledged_by", sa.Text),
    sa.Index("ix_alerts_by_kind", "kind", "task_id", "raised_at"),
    sa.Index("ix_alerts_by_time", "raised_at"),
)

# neither due nor delivered: given up
alert_deliveries = sa.Table(
    "alert_deliveries",
    metadata,
    sa.Column("alert_id", sa.Text, primary_key=True),
    sa.Column("url", sa.Text, primary_key=True),
    sa.Column("attempts", sa.Integer, nullable=False),
    _moment("due_at", nullable=True),
    _moment("delivered_at", nullable=True),
    sa.Column("last_error", sa.Text),
)
sa.Index("ix_alert_deliveries_due", alert_deliveries.c.due_at, postgresql_where=alert_deliveries.c.due_at.is_not(None))

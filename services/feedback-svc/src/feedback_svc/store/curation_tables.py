"""Tables of curation: what people decided over samples, and who lets conversations be trained on."""

import sqlalchemy as sa

from feedback_svc.store.tables import metadata

sample_reviews = sa.Table(
    "sample_reviews",
    metadata,
    sa.Column("review_id", sa.Text, primary_key=True),
    sa.Column("task_id", sa.Text, nullable=False),
    sa.Column("sample_id", sa.Text, nullable=False),
    sa.Column("inference_id", sa.Text),
    sa.Column("decision", sa.Text, nullable=False),
    # whether the model's own answer was right, if the decision says so: what raters of it are checked by
    sa.Column("answer_was_right", sa.Boolean),
    sa.Column("note", sa.LargeBinary),  # sealed
    sa.Column("decided_by", sa.Text, nullable=False),
    sa.Column("decided_at", sa.DateTime(timezone=True), nullable=False),
    sa.Index("ix_sample_reviews_by_task", "task_id", "decided_at"),
)

consents = sa.Table(
    "consents",
    metadata,
    sa.Column("unit_hash", sa.Text, primary_key=True),
    sa.Column("training", sa.Boolean, nullable=False),
    sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("changed_by", sa.Text, nullable=False),
)

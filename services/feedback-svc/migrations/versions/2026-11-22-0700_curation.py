"""Curation: why samples are held, what people decided over them, and who lets conversations be trained on."""

import sqlalchemy as sa
from alembic import op

revision = "feedback_0007"
down_revision = "feedback_0006"
branch_labels = None
depends_on = None

SCHEMA = "feedback"
_OF_SAMPLES = (
    sa.Column("held_because", sa.Text),
    sa.Column("trust_0_1", sa.Double, nullable=False, server_default="1"),
    sa.Column("vouched_by", sa.Text),
)


def upgrade() -> None:
    for column in _OF_SAMPLES:
        op.add_column("samples", column, schema=SCHEMA)
    op.create_table(
        "sample_reviews",
        sa.Column("review_id", sa.Text, primary_key=True),
        sa.Column("task_id", sa.Text, nullable=False),
        sa.Column("sample_id", sa.Text, nullable=False),
        sa.Column("inference_id", sa.Text),
        sa.Column("decision", sa.Text, nullable=False),
        sa.Column("answer_was_right", sa.Boolean),
        sa.Column("note", sa.Text),
        sa.Column("decided_by", sa.Text, nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=False),
        schema=SCHEMA,
    )
    op.create_index("ix_sample_reviews_by_task", "sample_reviews", ["task_id", "decided_at"], schema=SCHEMA)
    op.create_table(
        "consents",
        sa.Column("unit_hash", sa.Text, primary_key=True),
        sa.Column("training", sa.Boolean, nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_by", sa.Text, nullable=False),
        schema=SCHEMA,
    )


def downgrade() -> None:
    op.drop_table("consents", schema=SCHEMA)
    op.drop_table("sample_reviews", schema=SCHEMA)
    for column in _OF_SAMPLES:
        op.drop_column("samples", column.name, schema=SCHEMA)

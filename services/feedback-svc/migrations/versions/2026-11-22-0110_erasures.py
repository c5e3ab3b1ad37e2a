"""Persons whose words must go: erasures, exports to be deleted, and whom upstream records are of."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "feedback_0002"
down_revision = "feedback_0001"
branch_labels = None
depends_on = None

SCHEMA = "feedback"
_TIME = sa.DateTime(timezone=True)
_INDEXES = {
    "ix_inferences_by_unit": ("inferences", "unit_hash"),
    "ix_ratings_by_unit": ("ratings", "unit_hash"),
    "ix_ratings_by_rater": ("ratings", "rater_hash"),
    "ix_samples_by_unit": ("samples", "unit_hash"),
}
# ids as the contracts spell them need no escapes in JSON, so the text of a record shows them as they are
_BACKFILL = r"""
UPDATE feedback.upstream_records AS record SET subjects = found.subjects
FROM (
    SELECT origin, kind, record_id, array_agg(DISTINCT hit[2]) AS subjects
    FROM feedback.upstream_records,
        regexp_matches(content::text, '"(unit_hash|inference_id)"\s*:\s*"([A-Za-z0-9][A-Za-z0-9._:@-]{0,199})"', 'g') AS hit
    GROUP BY origin, kind, record_id
) AS found
WHERE (record.origin, record.kind, record.record_id) = (found.origin, found.kind, found.record_id)
"""


def upgrade() -> None:
    for name, (table, column) in _INDEXES.items():
        op.create_index(name, table, [column], schema=SCHEMA)
    op.add_column("dataset_requests", sa.Column("erased_at", _TIME), schema=SCHEMA)
    op.add_column("dataset_requests", sa.Column("erased_because", sa.Text), schema=SCHEMA)
    op.add_column(
        "upstream_records", sa.Column("subjects", ARRAY(sa.Text), nullable=False, server_default="{}"), schema=SCHEMA
    )
    op.add_column("upstream_records", sa.Column("erased_at", _TIME), schema=SCHEMA)
    op.execute(_BACKFILL)
    op.create_index(
        "ix_upstream_records_by_subject", "upstream_records", ["subjects"], schema=SCHEMA, postgresql_using="gin"
    )
    op.create_table(
        "erasures",
        sa.Column("unit_hash", sa.Text, primary_key=True),
        sa.Column("erasure_id", sa.Text, nullable=False),
        sa.Column("erased_at", _TIME, nullable=False),
        sa.Column("handled_at", _TIME, nullable=False),
        sa.Column("inferences", sa.BigInteger, nullable=False),
        sa.Column("ratings", sa.BigInteger, nullable=False),
        sa.Column("samples", sa.BigInteger, nullable=False),
        sa.Column("records", sa.BigInteger, nullable=False),
        schema=SCHEMA,
    )
    op.create_table(
        "export_deletions",
        sa.Column("uri", sa.Text, primary_key=True),
        sa.Column("erasure_id", sa.Text),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("due_at", _TIME, nullable=False),
        sa.Column("deleted_at", _TIME),
        schema=SCHEMA,
    )
    op.create_index(
        "ix_export_deletions_due",
        "export_deletions",
        ["due_at"],
        schema=SCHEMA,
        postgresql_where=sa.text("deleted_at IS NULL"),
    )


def downgrade() -> None:
    op.drop_table("export_deletions", schema=SCHEMA)
    op.drop_table("erasures", schema=SCHEMA)
    op.drop_index("ix_upstream_records_by_subject", table_name="upstream_records", schema=SCHEMA)
    for table, column in (
        ("upstream_records", "erased_at"),
        ("upstream_records", "subjects"),
        ("dataset_requests", "erased_because"),
        ("dataset_requests", "erased_at"),
    ):
        op.drop_column(table, column, schema=SCHEMA)
    for name, (table, _) in _INDEXES.items():
        op.drop_index(name, table_name=table, schema=SCHEMA)

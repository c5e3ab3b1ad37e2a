"""Rows that come by the hundred thousand with their version: no foreign key is checked for each, no index holds what is null."""

import sqlalchemy as sa
from alembic import op

revision = "dataset_0009"
down_revision = "dataset_0008"
branch_labels = None
depends_on = None

SCHEMA = "dataset"
# (table, column, table that it names)
_KEYS = (
    ("samples", "version_id", "versions"),
    ("questions", "dataset_id", "datasets"),
    ("groups", "dataset_id", "datasets"),
)
_UNITS = "ix_dataset_samples_unit_hash"


def upgrade() -> None:
    for table, column, _ in _KEYS:
        op.drop_constraint(f"{table}_{column}_fkey", table, schema=SCHEMA, type_="foreignkey")
    op.drop_index(_UNITS, "samples", schema=SCHEMA)
    op.create_index(_UNITS, "samples", ["unit_hash"], schema=SCHEMA, postgresql_where=sa.text("unit_hash IS NOT NULL"))


def downgrade() -> None:
    op.drop_index(_UNITS, "samples", schema=SCHEMA)
    op.create_index(_UNITS, "samples", ["unit_hash"], schema=SCHEMA)
    for table, column, named in _KEYS:
        op.create_foreign_key(
            f"{table}_{column}_fkey",
            table,
            named,
            [column],
            [column],
            source_schema=SCHEMA,
            referent_schema=SCHEMA,
        )

"""Objects to be deleted from storage, histories to be cleaned of a person's rows, and which versions were erased."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "dataset_0007"
down_revision = "dataset_0006"
branch_labels = None
depends_on = None

SCHEMA = "dataset"
_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column("versions", sa.Column("erased_at", _TIME), schema=SCHEMA)
    op.create_table(
        "version_erasures",
        sa.Column("version_id", sa.Text, sa.ForeignKey("dataset.versions.version_id"), primary_key=True),
        sa.Column("unit_hash", sa.Text, primary_key=True),
        sa.Column("erasure_id", sa.Text, nullable=False),
        sa.Column("erased_at", _TIME, nullable=False),
        schema=SCHEMA,
    )
    op.create_table(
        "history_cleanings",
        sa.Column("cleaning_id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("dataset_id", sa.Text, sa.ForeignKey("dataset.datasets.dataset_id"), nullable=False),
        sa.Column("version_id", sa.Text, sa.ForeignKey("dataset.versions.version_id")),
        sa.Column("manifest", JSONB),
        sa.Column("rows", JSONB, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("due_at", _TIME, nullable=False),
        sa.Column("cleaned_at", _TIME),
        schema=SCHEMA,
    )
    op.create_table(
        "deletions",
        sa.Column("uri", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("queued_at", _TIME, nullable=False),
        sa.Column("due_at", _TIME, nullable=False),
        sa.Column("begun_at", _TIME),
        sa.Column("deleted_at", _TIME),
        schema=SCHEMA,
    )
    for table, done in (("history_cleanings", "cleaned_at"), ("deletions", "deleted_at")):
        waiting = sa.text(f"{done} IS NULL")
        op.create_index(f"ix_{table}_due", table, ["due_at"], schema=SCHEMA, postgresql_where=waiting)


def downgrade() -> None:
    for table in ("deletions", "history_cleanings", "version_erasures"):
        op.drop_table(table, schema=SCHEMA)
    op.drop_column("versions", "erased_at", schema=SCHEMA)

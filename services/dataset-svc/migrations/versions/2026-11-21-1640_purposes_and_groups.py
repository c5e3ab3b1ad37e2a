"""Requests say what they are for; the side of the split that a user or document is on is remembered."""

import sqlalchemy as sa
from alembic import op

revision = "dataset_0006"
down_revision = "dataset_0005"
branch_labels = None
depends_on = None

SCHEMA = "dataset"


def upgrade() -> None:
    purpose = sa.Column("purpose", sa.Text, nullable=False, server_default="version")
    op.add_column("requests", purpose, schema=SCHEMA)
    op.add_column("samples", sa.Column("group_sha256", sa.Text), schema=SCHEMA)
    op.create_index(
        "ix_dataset_samples_group_sha256",
        "samples",
        ["group_sha256"],
        schema=SCHEMA,
        postgresql_where=sa.text("group_sha256 IS NOT NULL"),
    )
    op.create_table(
        "groups",
        sa.Column("dataset_id", sa.Text, sa.ForeignKey("dataset.datasets.dataset_id"), primary_key=True),
        sa.Column("group_sha256", sa.Text, primary_key=True),
        sa.Column("split", sa.Text, nullable=False),
        schema=SCHEMA,
    )


def downgrade() -> None:
    op.drop_table("groups", schema=SCHEMA)
    op.drop_index("ix_dataset_samples_group_sha256", "samples", schema=SCHEMA)
    op.drop_column("samples", "group_sha256", schema=SCHEMA)
    op.drop_column("requests", "purpose", schema=SCHEMA)

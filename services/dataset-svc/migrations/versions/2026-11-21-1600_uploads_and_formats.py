"""Uploads in pieces; what a source is called, which columns hold what, and where its bad records are kept."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "dataset_0002"
down_revision = "dataset_0001"
branch_labels = None
depends_on = None

SCHEMA = "dataset"


def upgrade() -> None:
    op.add_column("requests", sa.Column("source_name", sa.Text, nullable=False, server_default=""), schema=SCHEMA)
    op.add_column("requests", sa.Column("mapping", JSONB), schema=SCHEMA)
    op.add_column("requests", sa.Column("rejects", JSONB), schema=SCHEMA)
    op.create_table(
        "uploads",
        sa.Column("upload_id", sa.Text, primary_key=True),
        sa.Column("filename", sa.Text, nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("sha256", sa.Text, nullable=False),
        sa.Column("task_id", sa.Text, nullable=False),
        sa.Column("dataset_name", sa.Text, nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("data_policy", JSONB, nullable=False),
        sa.Column("mapping", JSONB),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("received_bytes", sa.BigInteger, nullable=False),
        sa.Column("created_by", sa.Text, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("touched_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("request_id", sa.Text),
        schema=SCHEMA,
    )
    op.create_index(
        "ix_uploads_receiving",
        "uploads",
        ["touched_at"],
        schema=SCHEMA,
        postgresql_where=sa.text("state = 'receiving'"),
    )
    op.create_table(
        "upload_pieces",
        sa.Column(
            "upload_id", sa.Text, sa.ForeignKey("dataset.uploads.upload_id", ondelete="CASCADE"), primary_key=True
        ),
        sa.Column("first_byte", sa.BigInteger, primary_key=True),
        sa.Column("artifact", JSONB, nullable=False),
        schema=SCHEMA,
    )


def downgrade() -> None:
    op.drop_table("upload_pieces", schema=SCHEMA)
    op.drop_table("uploads", schema=SCHEMA)
    for column in ("rejects", "mapping", "source_name"):
        op.drop_column("requests", column, schema=SCHEMA)

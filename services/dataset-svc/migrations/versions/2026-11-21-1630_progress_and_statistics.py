"""Requests say how far their build is; versions have statistics and a page for people."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "dataset_0005"
down_revision = "dataset_0004"
branch_labels = None
depends_on = None

SCHEMA = "dataset"


def upgrade() -> None:
    records_read = sa.Column("records_read", sa.BigInteger, nullable=False, server_default="0")
    op.add_column("requests", records_read, schema=SCHEMA)
    for name in ("statistics", "page"):
        op.add_column("versions", sa.Column(name, JSONB), schema=SCHEMA)


def downgrade() -> None:
    for name in ("page", "statistics"):
        op.drop_column("versions", name, schema=SCHEMA)
    op.drop_column("requests", "records_read", schema=SCHEMA)

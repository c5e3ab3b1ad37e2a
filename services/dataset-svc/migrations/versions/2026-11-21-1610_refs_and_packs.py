"""Branches and tags; versions know their recipe, their manifest in the history and what was done to each sample."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "dataset_0003"
down_revision = "dataset_0002"
branch_labels = None
depends_on = None

SCHEMA = "dataset"
_NEW = (("recipe_sha256", sa.Text), ("manifest", JSONB), ("origins", JSONB))


def upgrade() -> None:
    for name, kind in _NEW:
        op.add_column("versions", sa.Column(name, kind), schema=SCHEMA)
    op.create_table(
        "refs",
        sa.Column("dataset_id", sa.Text, sa.ForeignKey("dataset.datasets.dataset_id"), primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("version_id", sa.Text, sa.ForeignKey("dataset.versions.version_id"), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("moved_by", sa.Text, nullable=False),
        sa.Column("moved_at", sa.DateTime(timezone=True), nullable=False),
        schema=SCHEMA,
    )


def downgrade() -> None:
    op.drop_table("refs", schema=SCHEMA)
    for name, _ in reversed(_NEW):
        op.drop_column("versions", name, schema=SCHEMA)

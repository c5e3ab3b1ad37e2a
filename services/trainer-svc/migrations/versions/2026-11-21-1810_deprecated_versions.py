"""Dataset versions that must not be learned from any more, and the marks of jobs that did."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "trainer_0002"
down_revision = "trainer_0001"
branch_labels = None
depends_on = None

SCHEMA = "trainer"


def upgrade() -> None:
    op.create_table(
        "deprecated_versions",
        sa.Column("version_id", sa.Text, primary_key=True),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("deprecated_at", sa.DateTime(timezone=True), nullable=False),
        schema=SCHEMA,
    )
    op.add_column("jobs", sa.Column("training_data_deprecated", JSONB), schema=SCHEMA)


def downgrade() -> None:
    op.drop_column("jobs", "training_data_deprecated", schema=SCHEMA)
    op.drop_table("deprecated_versions", schema=SCHEMA)

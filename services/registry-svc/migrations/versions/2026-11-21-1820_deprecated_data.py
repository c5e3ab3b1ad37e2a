"""Dataset versions that must not be learned from any more, and the marks of models that did."""

import sqlalchemy as sa
from alembic import op

revision = "registry_0002"
down_revision = "registry_0001"
branch_labels = None
depends_on = None

SCHEMA = "registry"
_MARK = ("data_deprecated_reason", "data_deprecated_detail")


def upgrade() -> None:
    op.create_table(
        "deprecated_data",
        sa.Column("dataset_version_id", sa.Text, primary_key=True),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("deprecated_at", sa.DateTime(timezone=True), nullable=False),
        schema=SCHEMA,
    )
    for name in _MARK:
        op.add_column("model_versions", sa.Column(name, sa.Text), schema=SCHEMA)
    op.add_column("model_versions", sa.Column("data_deprecated_at", sa.DateTime(timezone=True)), schema=SCHEMA)
    index = "ix_registry_model_versions_dataset_version_id"
    op.create_index(index, "model_versions", ["dataset_version_id"], schema=SCHEMA)


def downgrade() -> None:
    op.drop_index("ix_registry_model_versions_dataset_version_id", "model_versions", schema=SCHEMA)
    for name in (*_MARK, "data_deprecated_at"):
        op.drop_column("model_versions", name, schema=SCHEMA)
    op.drop_table("deprecated_data", schema=SCHEMA)

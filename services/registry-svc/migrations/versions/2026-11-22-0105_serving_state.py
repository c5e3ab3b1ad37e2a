"""vLLM servers as they were seen last, adapters that must stay, watches over promotions, servers of whole models."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "registry_0003_serving"
down_revision = "registry_0002"
branch_labels = None
depends_on = None

SCHEMA = "registry"


def upgrade() -> None:
    op.create_table(
        "replicas",
        sa.Column("url", sa.Text, primary_key=True),
        sa.Column("problem", sa.Text),
        sa.Column("models", JSONB, nullable=False),
        sa.Column("capacity", sa.Integer),
        sa.Column("capacity_source", sa.Text, nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        schema=SCHEMA,
    )
    op.create_table(
        "adapter_holds",
        sa.Column("variant_id", sa.Text, primary_key=True),
        sa.Column("held_until", sa.DateTime(timezone=True), nullable=False),
        schema=SCHEMA,
    )
    op.create_table(
        "promotion_watches",
        sa.Column("task_id", sa.Text, primary_key=True),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("champion", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("baseline", JSONB),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        schema=SCHEMA,
    )
    op.create_index("ix_registry_promotion_watches_state", "promotion_watches", ["state"], schema=SCHEMA)
    op.create_table(
        "model_servers",
        sa.Column("served_name", sa.Text, primary_key=True),
        sa.Column("model_name", sa.Text, nullable=False),
        sa.Column("model_version", sa.Integer, nullable=False),
        sa.Column("port", sa.Integer, nullable=False, unique=True),
        sa.Column("wanted", sa.Boolean, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("pid", sa.Integer),
        sa.Column("process_start", sa.Text),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        schema=SCHEMA,
    )


def downgrade() -> None:
    for name in ("model_servers", "promotion_watches", "adapter_holds", "replicas"):
        op.drop_table(name, schema=SCHEMA)

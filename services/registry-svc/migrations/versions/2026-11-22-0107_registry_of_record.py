"""What a model version carries, registrations on their way, the use log, and what MLflow and our rows disagreed on."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

revision = "registry_0004_record"
down_revision = "registry_0003_serving"
branch_labels = None
depends_on = None

SCHEMA = "registry"
_TABLES = ("mlflow_findings", "registrations", "model_uses")


def _moment(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _added() -> tuple[sa.Column[object], ...]:
    return (
        sa.Column("tags", ARRAY(sa.Text), nullable=False, server_default="{}"),
        sa.Column("settings", JSONB, nullable=False, server_default="{}"),
        sa.Column("parent", sa.Text),
        sa.Column("subject", sa.Text),
        sa.Column("card", JSONB),
        sa.Column("proof", JSONB),
        _moment("status_changed_at", nullable=True),
        _moment("card_logged_at", nullable=True),
    )


def upgrade() -> None:
    for column in _added():
        op.add_column("model_versions", column, schema=SCHEMA)
    op.execute("UPDATE registry.model_versions SET status_changed_at = updated_at")
    op.execute(
        "UPDATE registry.model_versions "
        "SET subject = CASE WHEN job_id IS NULL THEN 'base:' || model_name ELSE 'job:' || job_id END"
    )
    for name in ("status_changed_at", "subject"):
        op.alter_column("model_versions", name, nullable=False, schema=SCHEMA)
    op.create_index(
        "ix_registry_model_versions_tags", "model_versions", ["tags"], schema=SCHEMA, postgresql_using="gin"
    )
    _create_uses()
    _create_registrations()


def downgrade() -> None:
    for table in _TABLES:
        op.drop_table(table, schema=SCHEMA)
    op.drop_index("ix_registry_model_versions_tags", "model_versions", schema=SCHEMA)
    for column in _added():
        op.drop_column("model_versions", column.name, schema=SCHEMA)


def _create_uses() -> None:
    op.create_table(
        "model_uses",
        sa.Column("use_id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("model_name", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("task_id", sa.Text),
        sa.Column("status", sa.Text),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("by", sa.Text, nullable=False),
        _moment("at"),
        schema=SCHEMA,
    )
    op.create_index("ix_registry_model_uses_of", "model_uses", ["model_name", "version", "use_id"], schema=SCHEMA)


def _create_registrations() -> None:
    op.create_table(
        "registrations",
        sa.Column("registration_id", sa.Text, primary_key=True),
        sa.Column("state", sa.Text, nullable=False, index=True),
        sa.Column("model_name", sa.Text, nullable=False),
        sa.Column("model_version", sa.Integer),
        sa.Column("task_id", sa.Text, nullable=False),
        sa.Column("base_model", sa.Text, nullable=False),
        sa.Column("format", sa.Text, nullable=False),
        sa.Column("artifact", JSONB, nullable=False),
        sa.Column("job_id", sa.Text),
        sa.Column("dataset_version_id", sa.Text),
        sa.Column("mlflow_run_id", sa.Text),
        sa.Column("settings", JSONB, nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("tags", ARRAY(sa.Text), nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("attempts", sa.Integer, nullable=False),
        _moment("due_at"),
        sa.Column("requested_by", sa.Text, nullable=False),
        _moment("created_at"),
        _moment("updated_at"),
        schema=SCHEMA,
    )
    op.create_table(
        "mlflow_findings",
        sa.Column("model_name", sa.Text, primary_key=True),
        sa.Column("mlflow_version", sa.Integer, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        _moment("found_at"),
        schema=SCHEMA,
    )

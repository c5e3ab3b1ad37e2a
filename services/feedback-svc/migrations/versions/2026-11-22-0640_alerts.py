"""Alerts with how often they were raised, and news of them on their way to webhooks."""

import sqlalchemy as sa
from alembic import op

revision = "feedback_0006"
down_revision = "feedback_0005"
branch_labels = None
depends_on = None

SCHEMA = "feedback"
_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "alerts",
        sa.Column("alert_id", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("task_id", sa.Text),
        sa.Column("severity", sa.Text, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("occurrences", sa.BigInteger, nullable=False),
        sa.Column("raised_at", _TIME, nullable=False),
        sa.Column("last_at", _TIME, nullable=False),
        sa.Column("acknowledged_at", _TIME),
        sa.Column("acknowledged_by", sa.Text),
        schema=SCHEMA,
    )
    op.create_index("ix_alerts_by_kind", "alerts", ["kind", "task_id", "raised_at"], schema=SCHEMA)
    op.create_index("ix_alerts_by_time", "alerts", ["raised_at"], schema=SCHEMA)
    op.create_table(
        "alert_deliveries",
        sa.Column("alert_id", sa.Text, primary_key=True),
        sa.Column("url", sa.Text, primary_key=True),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("due_at", _TIME),
        sa.Column("delivered_at", _TIME),
        sa.Column("last_error", sa.Text),
        schema=SCHEMA,
    )
    op.create_index(
        "ix_alert_deliveries_due", "alert_deliveries", ["due_at"], schema=SCHEMA,
        postgresql_where=sa.text("due_at IS NOT NULL"),
    )  # fmt: skip


def downgrade() -> None:
    op.drop_table("alert_deliveries", schema=SCHEMA)
    op.drop_table("alerts", schema=SCHEMA)

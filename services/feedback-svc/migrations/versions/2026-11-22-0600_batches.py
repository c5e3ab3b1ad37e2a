"""Signals in batches: what experiments count per epoch and arm, and what inferences say of their assignment."""

import sqlalchemy as sa
from alembic import op

revision = "feedback_0003"
down_revision = "feedback_0002"
branch_labels = None
depends_on = None

SCHEMA = "feedback"
_OF_EXPERIMENT = sa.text("counts AND experiment_id IS NOT NULL")
_INFERENCES = (
    sa.Column("epoch", sa.Integer),
    sa.Column("arm", sa.Integer),
    sa.Column("propensity_0_1", sa.Double),
    sa.Column("shadow_of", sa.Text),
    sa.Column("tenant", sa.Text),
    sa.Column("sealed_content", sa.Text),
)
_RATINGS = (sa.Column("epoch", sa.Integer), sa.Column("arm", sa.Integer), sa.Column("tenant", sa.Text))


def upgrade() -> None:
    for column in _INFERENCES:
        op.add_column("inferences", column, schema=SCHEMA)
    for column in _RATINGS:
        op.add_column("ratings", column, schema=SCHEMA)
    op.drop_index("ix_ratings_of_experiment", "ratings", schema=SCHEMA)
    op.create_index(
        "ix_ratings_of_experiment", "ratings", ["experiment_id", "unit_hash"], schema=SCHEMA,
        postgresql_where=_OF_EXPERIMENT,
    )  # fmt: skip
    op.drop_table("experiment_users", schema=SCHEMA)
    op.create_table(
        "experiment_users",
        sa.Column("experiment_id", sa.Text, primary_key=True),
        sa.Column("unit_hash", sa.Text, primary_key=True),
        sa.Column("epoch", sa.Integer, primary_key=True),
        sa.Column("arm", sa.Integer, primary_key=True),
        sa.Column("exposures", sa.BigInteger, nullable=False),
        sa.Column("first_exposed_at", sa.DateTime(timezone=True)),
        sa.Column("ratings", sa.BigInteger, nullable=False),
        sa.Column("total", sa.Double, nullable=False),
        sa.Column("squares", sa.Double, nullable=False),
        sa.Column("prior_ratings", sa.BigInteger, nullable=False),
        sa.Column("prior_total", sa.Double, nullable=False),
        schema=SCHEMA,
    )


def downgrade() -> None:
    op.drop_table("experiment_users", schema=SCHEMA)
    op.create_table(
        "experiment_users",
        sa.Column("experiment_id", sa.Text, primary_key=True),
        sa.Column("variant_id", sa.Text, primary_key=True),
        sa.Column("unit_hash", sa.Text, primary_key=True),
        sa.Column("ratings", sa.BigInteger, nullable=False),
        sa.Column("total", sa.Double, nullable=False),
        schema=SCHEMA,
    )
    op.drop_index("ix_ratings_of_experiment", "ratings", schema=SCHEMA)
    op.create_index(
        "ix_ratings_of_experiment", "ratings", ["experiment_id", "metric"], schema=SCHEMA,
        postgresql_where=_OF_EXPERIMENT,
    )  # fmt: skip
    for name in ("tenant", "arm", "epoch"):
        op.drop_column("ratings", name, schema=SCHEMA)
    for name in ("sealed_content", "tenant", "shadow_of", "propensity_0_1", "arm", "epoch"):
        op.drop_column("inferences", name, schema=SCHEMA)

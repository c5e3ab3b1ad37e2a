"""How toxic answers of experiments are, a figure for each answer that was scored."""

import sqlalchemy as sa
from alembic import op

revision = "feedback_0008"
down_revision = "feedback_0007"
branch_labels = None
depends_on = None

SCHEMA = "feedback"


def upgrade() -> None:
    op.create_table(
        "answer_toxicity",
        sa.Column("inference_id", sa.Text, primary_key=True),
        sa.Column("toxicity_0_1", sa.Double, nullable=False),
        schema=SCHEMA,
    )


def downgrade() -> None:
    op.drop_table("answer_toxicity", schema=SCHEMA)

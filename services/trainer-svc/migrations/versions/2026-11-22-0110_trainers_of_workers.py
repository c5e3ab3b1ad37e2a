"""Workers say which trainers of other projects they have."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "trainer_0005"
down_revision = "trainer_0004"
branch_labels = None
depends_on = None
SCHEMA = "trainer"


def upgrade() -> None:
    op.add_column("workers", sa.Column("trainers", ARRAY(sa.Text), nullable=False, server_default="{}"), schema=SCHEMA)


def downgrade() -> None:
    op.drop_column("workers", "trainers", schema=SCHEMA)

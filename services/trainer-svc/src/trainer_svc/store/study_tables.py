"""Tables of studies, in the service's schema."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from loopwright.contracts.jobs import TrainingData
from loopwright.contracts.tasks import Hyperparameters
from loopwright.database import AsJson
from trainer_svc.domain.search_space import SearchSpace
from trainer_svc.domain.studies import StudyTerms
from trainer_svc.store.tables import metadata

_TIME = sa.DateTime(timezone=True)

studies = sa.Table(
    "studies",
    metadata,
    sa.Column("study_id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("task_id", sa.Text, nullable=False),
    sa.Column("base_model", sa.Text, nullable=False),
    sa.Column("training_data", AsJson(TrainingData), nullable=False),
    sa.Column("method", sa.Text, nullable=False),
    sa.Column("objective", sa.Text, nullable=False),
    sa.Column("hyperparameters", AsJson(Hyperparameters), nullable=False),
    sa.Column("space", AsJson(SearchSpace), nullable=False),
    sa.Column("terms", AsJson(StudyTerms), nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("reason", sa.Text),
    sa.Column("counts_from", sa.Integer, nullable=False, server_default="0"),
    sa.Column("promoted_trial", sa.Integer),
    sa.Column("promoted_job_id", sa.Text),
    sa.Column("created_by", sa.Text, nullable=False),
    sa.Column("created_at", _TIME, nullable=False),
    sa.Column("ended_at", _TIME),
    sa.Column("traceparent", sa.Text),
    sa.Index("studies_state", "state", "created_at"),
)

trials = sa.Table(
    "study_trials",
    metadata,
    sa.Column("study_id", sa.Text, sa.ForeignKey(studies.c.study_id, ondelete="CASCADE"), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("settings", JSONB, nullable=False),
    # no foreign key: a trial outlives its job's row
    sa.Column("job_id", sa.Text, unique=True),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("reason", sa.Text),
    sa.Column("value", sa.Float),
    sa.Column("evaluations", sa.ARRAY(sa.Float), nullable=False, server_default="{}"),
    sa.Column("judged", sa.Integer, nullable=False, server_default="0"),
    sa.Column("pruned_after", sa.Integer),
    sa.Column("started_at", _TIME, nullable=False),
    sa.Column("ended_at", _TIME),
)

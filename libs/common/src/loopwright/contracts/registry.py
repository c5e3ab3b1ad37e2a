"""The only table of topics: nothing else in the platform names a topic by string."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Generic, TypeVar

from loopwright.contracts.base import Event
from loopwright.contracts.datasets import (
    DatasetDeprecated,
    DatasetRejected,
    DatasetRequested,
    DatasetValidated,
    UserErased,
)
from loopwright.contracts.deployments import DeploymentChanged
from loopwright.contracts.experiments import ExperimentChanged, ExperimentConcluded
from loopwright.contracts.inferences import InferenceCompleted, InferenceRated
from loopwright.contracts.jobs import JobFinished, JobProgressed, JobRequested
from loopwright.contracts.models import ModelEvaluated, ModelRegistered
from loopwright.contracts.records import AlertRaised, FeedbackReceived, LogReceived
from loopwright.contracts.tasks import TaskDefined

E_co = TypeVar("E_co", bound=Event, covariant=True)


class Party(StrEnum):
    """Who may produce or consume."""

    DATASET = "dataset-svc"
    TRAINER = "trainer-svc"
    REGISTRY = "registry-svc"
    ROUTER = "router-svc"
    FEEDBACK = "feedback-svc"
    UPSTREAM = "upstream-apps"
    OPERATORS = "operators"


@dataclass(frozen=True, kw_only=True)
class Topic(Generic[E_co]):
    """One topic: its payload, who writes and reads it, and how long it is kept.

    Attributes:
        retention: How long records are kept; None for a compacted topic, whose newest record per key is kept for ever.
        version: Major version of the payload; within it only optional fields are added.
    """

    name: str
    event: type[E_co]
    key: str
    description: str
    producers: tuple[Party, ...]
    consumers: tuple[Party, ...]
    partitions: int = 3
    retention: timedelta | None = timedelta(days=14)
    version: int = 1

    @property
    def event_type(self) -> str:
        """CloudEvents type: reverse-DNS-free, stable, with the major version."""
        return f"loopwright.{self.name}.v{self.version}"

    @property
    def dead_letter_name(self) -> str:
        return f"{self.name}.dlq"

    def key_of(self, event: Event) -> str:
        return str(getattr(event, self.key))


_DAY = timedelta(days=1)

TASK_DEFINED = Topic(
    name="task.defined", event=TaskDefined, key="task_id", partitions=1, retention=None,
    description="Tasks as they stand; every service applies the policies in it that are its business.",
    producers=(Party.REGISTRY,), consumers=(Party.ROUTER, Party.FEEDBACK, Party.TRAINER),
)  # fmt: skip
DEPLOYMENT_CHANGED = Topic(
    name="deployment.changed", event=DeploymentChanged, key="task_id", partitions=1, retention=None,
    description="What serves each task.",
    producers=(Party.REGISTRY,), consumers=(Party.ROUTER, Party.FEEDBACK),
)  # fmt: skip
EXPERIMENT_CHANGED = Topic(
    name="experiment.changed", event=ExperimentChanged, key="experiment_id", partitions=1, retention=None,
    description="How live traffic is split.",
    producers=(Party.FEEDBACK,), consumers=(Party.ROUTER,),
)  # fmt: skip
INFERENCE_COMPLETED = Topic(
    name="inference.completed", event=InferenceCompleted, key="inference_id", partitions=6, retention=30 * _DAY,
    description="Every answered request.",
    producers=(Party.ROUTER,), consumers=(Party.FEEDBACK,),
)  # fmt: skip
INFERENCE_RATED = Topic(
    name="inference.rated", event=InferenceRated, key="inference_id", partitions=6, retention=30 * _DAY,
    description="Every rating and correction; co-partitioned with inference.completed.",
    producers=(Party.ROUTER,), consumers=(Party.FEEDBACK,),
)  # fmt: skip
DATASET_REQUESTED = Topic(
    name="dataset.requested", event=DatasetRequested, key="task_id",
    description="Learned samples that should become a dataset version.",
    producers=(Party.FEEDBACK,), consumers=(Party.DATASET,),
)  # fmt: skip
DATASET_VALIDATED = Topic(
    name="dataset.validated", event=DatasetValidated, key="task_id",
    description="New dataset versions.",
    producers=(Party.DATASET,), consumers=(Party.TRAINER,),
)  # fmt: skip
DATASET_REJECTED = Topic(
    name="dataset.rejected", event=DatasetRejected, key="task_id",
    description="Requests that yielded nothing fit to train on.",
    producers=(Party.DATASET,), consumers=(Party.FEEDBACK, Party.OPERATORS),
)  # fmt: skip
DATASET_DEPRECATED = Topic(
    name="dataset.deprecated", event=DatasetDeprecated, key="task_id", retention=365 * _DAY,
    description="Dataset versions that must not be learned from any more.",
    producers=(Party.DATASET,), consumers=(Party.TRAINER, Party.REGISTRY),
)  # fmt: skip
USER_ERASED = Topic(
    name="user.erased", event=UserErased, key="unit_hash", retention=365 * _DAY,
    description="People whose data must go.",
    producers=(Party.UPSTREAM,), consumers=(Party.DATASET, Party.FEEDBACK),
)  # fmt: skip
JOB_REQUESTED = Topic(
    name="job.requested", event=JobRequested, key="job_id",
    description="Fine-tuning runs that were asked for, by the auto-train policy or through the API.",
    producers=(Party.TRAINER,), consumers=(Party.TRAINER,),
)  # fmt: skip
JOB_PROGRESSED = Topic(
    name="job.progressed", event=JobProgressed, key="job_id", retention=3 * _DAY,
    description="Live figures of running jobs.",
    producers=(Party.TRAINER,), consumers=(Party.OPERATORS,),
)  # fmt: skip
JOB_FINISHED = Topic(
    name="job.finished", event=JobFinished, key="job_id", retention=90 * _DAY,
    description="Results of fine-tuning runs.",
    producers=(Party.TRAINER,), consumers=(Party.REGISTRY, Party.FEEDBACK),
)  # fmt: skip
MODEL_REGISTERED = Topic(
    name="model.registered", event=ModelRegistered, key="model_name", retention=90 * _DAY,
    description="New model versions.",
    producers=(Party.REGISTRY,), consumers=(Party.OPERATORS,),
)  # fmt: skip
MODEL_EVALUATED = Topic(
    name="model.evaluated", event=ModelEvaluated, key="task_id", retention=90 * _DAY,
    description="Gate verdicts on candidates.",
    producers=(Party.REGISTRY,), consumers=(Party.FEEDBACK,),
)  # fmt: skip
EXPERIMENT_CONCLUDED = Topic(
    name="experiment.concluded", event=ExperimentConcluded, key="task_id", retention=365 * _DAY,
    description="How experiments ended.",
    producers=(Party.FEEDBACK,), consumers=(Party.REGISTRY,),
)  # fmt: skip
LOG_RECEIVED = Topic(
    name="log.received", event=LogReceived, key="type",
    description="Log batches of upstream apps.",
    producers=(Party.UPSTREAM,), consumers=(Party.FEEDBACK,),
)  # fmt: skip
FEEDBACK_RECEIVED = Topic(
    name="feedback.received", event=FeedbackReceived, key="record_id",
    description="Feedback records of upstream apps; those that come over HTTP pass feedback-svc first.",
    producers=(Party.UPSTREAM, Party.FEEDBACK), consumers=(Party.FEEDBACK,),
)  # fmt: skip
ALERT_RAISED = Topic(
    name="alert.raised", event=AlertRaised, key="kind", retention=90 * _DAY,
    description="What needs a person.",
    producers=(Party.FEEDBACK, Party.REGISTRY), consumers=(Party.OPERATORS,),
)  # fmt: skip

TOPICS: tuple[Topic[Event], ...] = (
    TASK_DEFINED, DEPLOYMENT_CHANGED, EXPERIMENT_CHANGED, INFERENCE_COMPLETED, INFERENCE_RATED,
    DATASET_REQUESTED, DATASET_VALIDATED, DATASET_REJECTED, DATASET_DEPRECATED, USER_ERASED,
    JOB_REQUESTED, JOB_PROGRESSED, JOB_FINISHED, MODEL_REGISTERED, MODEL_EVALUATED, EXPERIMENT_CONCLUDED, LOG_RECEIVED, FEEDBACK_RECEIVED,
    ALERT_RAISED,
)  # fmt: skip

_BY_EVENT: dict[type[Event], Topic[Event]] = {topic.event: topic for topic in TOPICS}
_BY_NAME: dict[str, Topic[Event]] = {topic.name: topic for topic in TOPICS}


def topic_of(event: Event) -> Topic[Event]:
    """The topic that a fact belongs to; every event class has exactly one."""
    return _BY_EVENT[type(event)]


def topic_named(name: str) -> Topic[Event]:
    """The topic of that name.

    Raises:
        KeyError: no such topic is declared.
    """
    return _BY_NAME[name]

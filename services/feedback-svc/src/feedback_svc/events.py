"""Kafka's door: ten topics, one handler each."""

from collections.abc import Sequence
from datetime import UTC, datetime

from msgspec.structs import replace

from feedback_svc.adapters.signals import opened, read_answered, read_rating
from feedback_svc.domain.ratings import Rating
from feedback_svc.domain.signals import Answered
from feedback_svc.handlers.erasures import erase_unit
from feedback_svc.handlers.evaluations import take_evaluation
from feedback_svc.handlers.inferences import take_inferences
from feedback_svc.handlers.learning import ask_again, end_training
from feedback_svc.handlers.ratings import take_ratings
from feedback_svc.handlers.records import take_feedback, take_logs
from feedback_svc.handlers.tasks import change_deployment, define_task
from loopwright.broker import EventRouter
from loopwright.contracts.datasets import DatasetRejected, UserErased
from loopwright.contracts.deployments import DeploymentChanged
from loopwright.contracts.envelope import Received
from loopwright.contracts.jobs import JobFinished
from loopwright.contracts.models import ModelEvaluated
from loopwright.contracts.records import FeedbackReceived, LogReceived
from loopwright.contracts.registry import (
    DATASET_REJECTED,
    DEPLOYMENT_CHANGED,
    FEEDBACK_RECEIVED,
    INFERENCE_COMPLETED,
    INFERENCE_RATED,
    JOB_FINISHED,
    LOG_RECEIVED,
    MODEL_EVALUATED,
    TASK_DEFINED,
    USER_ERASED,
)
from loopwright.contracts.tasks import TaskDefined
from loopwright.sealing import KeyFile
from loopwright.unit_of_work import Work

_events = EventRouter()
_SIGNALS = 2000


@_events.on(TASK_DEFINED)
async def on_task_defined(received: Received[TaskDefined], work: Work) -> None:
    await define_task(received.event, work)


@_events.on(DEPLOYMENT_CHANGED)
async def on_deployment_changed(received: Received[DeploymentChanged], work: Work) -> None:
    await change_deployment(received.event, work, now=datetime.now(UTC))


@_events.on_batch_by(INFERENCE_RATED, read_rating, max_records=_SIGNALS, marked=False)
async def on_inferences_rated(batch: Sequence[Received[Rating]], work: Work) -> int:
    ratings = [replace(received.event, traceparent=received.envelope.traceparent) for received in batch]
    return await take_ratings(ratings, work, now=datetime.now(UTC))


@_events.on(MODEL_EVALUATED)
async def on_model_evaluated(received: Received[ModelEvaluated], work: Work) -> None:
    await take_evaluation(received.event, work, now=datetime.now(UTC))


@_events.on_batch(LOG_RECEIVED)
async def on_logs_received(batch: Sequence[Received[LogReceived]], work: Work) -> None:
    await take_logs([received.event for received in batch], work, now=datetime.now(UTC))


@_events.on_batch(FEEDBACK_RECEIVED)
async def on_feedback_received(batch: Sequence[Received[FeedbackReceived]], work: Work) -> None:
    await take_feedback([received.event for received in batch], work, now=datetime.now(UTC))


@_events.on(DATASET_REJECTED)
async def on_dataset_rejected(received: Received[DatasetRejected], work: Work) -> None:
    await ask_again(received.event, work, now=datetime.now(UTC))


@_events.on(JOB_FINISHED)
async def on_job_finished(received: Received[JobFinished], work: Work) -> None:
    await end_training(received.event, work, now=datetime.now(UTC))


@_events.on(USER_ERASED)
async def on_user_erased(received: Received[UserErased], work: Work) -> None:
    await erase_unit(received.event, work, now=datetime.now(UTC))


def build_events(keys: KeyFile | None) -> EventRouter:
    """Every subscription of the service.

    Args:
        keys: What sealed conversations are opened with; without it they are kept as they are, and teach nothing.
    """
    events = EventRouter()
    events.subscriptions += _events.subscriptions

    @events.on_batch_by(INFERENCE_COMPLETED, read_answered, max_records=_SIGNALS, marked=False)
    async def on_inferences_completed(batch: Sequence[Received[Answered]], work: Work) -> int:
        ring = None if keys is None else keys.ring()
        said = [received.event if ring is None else opened(received.event, ring) for received in batch]
        return await take_inferences(said, work, now=datetime.now(UTC))

    return events

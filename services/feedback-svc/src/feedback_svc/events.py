"""Kafka's door: nine topics, one handler each."""

from datetime import UTC, datetime

from feedback_svc.handlers.erasures import erase_unit
from feedback_svc.handlers.evaluations import take_evaluation
from feedback_svc.handlers.inferences import take_inference
from feedback_svc.handlers.learning import ask_again
from feedback_svc.handlers.ratings import take_rating
from feedback_svc.handlers.records import take_feedback, take_logs
from feedback_svc.handlers.tasks import change_deployment, define_task
from loopwright.broker import EventRouter
from loopwright.contracts.datasets import DatasetRejected, UserErased
from loopwright.contracts.deployments import DeploymentChanged
from loopwright.contracts.envelope import Received
from loopwright.contracts.inferences import InferenceCompleted, InferenceRated
from loopwright.contracts.models import ModelEvaluated
from loopwright.contracts.records import FeedbackReceived, LogReceived
from loopwright.contracts.registry import (
    DATASET_REJECTED,
    DEPLOYMENT_CHANGED,
    FEEDBACK_RECEIVED,
    INFERENCE_COMPLETED,
    INFERENCE_RATED,
    LOG_RECEIVED,
    MODEL_EVALUATED,
    TASK_DEFINED,
    USER_ERASED,
)
from loopwright.contracts.tasks import TaskDefined
from loopwright.unit_of_work import Work

events = EventRouter()


@events.on(TASK_DEFINED)
async def on_task_defined(received: Received[TaskDefined], work: Work) -> None:
    await define_task(received.event, work)


@events.on(DEPLOYMENT_CHANGED)
async def on_deployment_changed(received: Received[DeploymentChanged], work: Work) -> None:
    await change_deployment(received.event, work, now=datetime.now(UTC))


@events.on(INFERENCE_COMPLETED)
async def on_inference_completed(received: Received[InferenceCompleted], work: Work) -> None:
    await take_inference(received.event, work, now=datetime.now(UTC))


@events.on(INFERENCE_RATED)
async def on_inference_rated(received: Received[InferenceRated], work: Work) -> None:
    await take_rating(received.event, work, now=datetime.now(UTC))


@events.on(MODEL_EVALUATED)
async def on_model_evaluated(received: Received[ModelEvaluated], work: Work) -> None:
    await take_evaluation(received.event, work, now=datetime.now(UTC))


@events.on(LOG_RECEIVED)
async def on_log_received(received: Received[LogReceived], work: Work) -> None:
    await take_logs(received.event, work, now=datetime.now(UTC))


@events.on(FEEDBACK_RECEIVED)
async def on_feedback_received(received: Received[FeedbackReceived], work: Work) -> None:
    await take_feedback(received.event, work, now=datetime.now(UTC))


@events.on(DATASET_REJECTED)
async def on_dataset_rejected(received: Received[DatasetRejected], work: Work) -> None:
    await ask_again(received.event, work, now=datetime.now(UTC))


@events.on(USER_ERASED)
async def on_user_erased(received: Received[UserErased], work: Work) -> None:
    await erase_unit(received.event, work, now=datetime.now(UTC))

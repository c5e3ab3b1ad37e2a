"""Kafka's door: policies are kept, new data is trained on as they say until it is deprecated, requested jobs are queued."""

import uuid
from datetime import UTC, datetime

from loopwright.broker import EventRouter
from loopwright.contracts.datasets import DatasetDeprecated, DatasetValidated
from loopwright.contracts.envelope import Received
from loopwright.contracts.jobs import JobRequested
from loopwright.contracts.registry import DATASET_DEPRECATED, DATASET_VALIDATED, JOB_REQUESTED, TASK_DEFINED
from loopwright.contracts.tasks import TaskDefined
from loopwright.unit_of_work import Work
from trainer_svc.domain.installed import Installed
from trainer_svc.handlers.deprecations import deprecate_data
from trainer_svc.handlers.requests import accept_job, keep_policy, train_by_policy


def build_events(installed: Installed) -> EventRouter:
    """The service's subscriptions."""
    events = EventRouter()

    @events.on(TASK_DEFINED)
    async def on_task_defined(received: Received[TaskDefined], work: Work) -> None:  # pyright: ignore[reportUnusedFunction] - registered
        await keep_policy(work, received.event)

    @events.on(DATASET_VALIDATED)
    async def on_dataset_validated(received: Received[DatasetValidated], work: Work) -> None:  # pyright: ignore[reportUnusedFunction] - registered
        await train_by_policy(work, received.event, job_id=f"job-{uuid.uuid4().hex[:12]}", now=datetime.now(UTC))

    @events.on(DATASET_DEPRECATED)
    async def on_dataset_deprecated(received: Received[DatasetDeprecated], work: Work) -> None:  # pyright: ignore[reportUnusedFunction] - registered
        await deprecate_data(work, received.event)

    @events.on(JOB_REQUESTED)
    async def on_job_requested(received: Received[JobRequested], work: Work) -> None:  # pyright: ignore[reportUnusedFunction] - registered
        await accept_job(work, received.event, installed)

    return events

"""Kafka's door: requests are queued for `jobs.py`, erasures take effect at once."""

from dataset_svc.domain.requests import Origin, VersionRequest
from dataset_svc.handlers.requests import record_request
from dataset_svc.handlers.statuses import erase_unit
from loopwright.broker import EventRouter
from loopwright.contracts.datasets import DatasetRequested, UserErased
from loopwright.contracts.envelope import Received
from loopwright.contracts.registry import DATASET_REQUESTED, USER_ERASED
from loopwright.telemetry import current_traceparent
from loopwright.unit_of_work import Work

events = EventRouter()


@events.on(DATASET_REQUESTED)
async def on_dataset_requested(received: Received[DatasetRequested], work: Work) -> None:
    event = received.event
    request = VersionRequest(
        request_id=event.request_id,
        task_id=event.task_id,
        dataset_name=event.dataset_name,
        description="",
        origin=Origin.EVENT,
        requested_by=received.envelope.source,
        requested_at=event.requested_at,
        reason=event.reason,
        source=event.source,
        sample_count=event.sample_count,
        policy=event.data_policy,
        traceparent=current_traceparent(),
    )
    await record_request(work, request)


@events.on(USER_ERASED)
async def on_user_erased(received: Received[UserErased], work: Work) -> None:
    await erase_unit(work, received.event)

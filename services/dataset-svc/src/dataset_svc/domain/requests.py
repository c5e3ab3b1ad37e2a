"""A request for a version: where it came from, where it stands, and when it is refused unread."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from dataset_svc.domain.sources.columns import ColumnMapping
from dataset_svc.domain.versions.lifecycle import Status
from loopwright.contracts.base import Artifact
from loopwright.contracts.tasks import DataPolicy


class Origin(StrEnum):
    """How a request came."""

    EVENT = "event"
    UPLOAD = "upload"


class Purpose(StrEnum):
    """What a request is to become."""

    VERSION = "version"
    DRY_RUN = "dry_run"  # a report and no version
    SPLIT = "split"  # a version with the samples of another one, divided anew


class RequestState(StrEnum):
    """Where a request stands."""

    PENDING = "pending"
    VALIDATED = "validated"
    REJECTED = "rejected"


@dataclass(frozen=True, kw_only=True)
class VersionRequest:
    """What somebody asked for.

    Attributes:
        description: Of the dataset, should this request be its first.
        requested_by: Service or subject.
        source_name: What the file was called where it came from; a hint of its format, empty if nobody said.
        mapping: Which columns hold what; None if records name their fields as everybody does.
        purpose: Whether it becomes a version, and how one.
    """

    request_id: str
    task_id: str
    dataset_name: str
    description: str
    origin: Origin
    requested_by: str
    requested_at: datetime
    reason: str
    source: Artifact
    sample_count: int | None
    policy: DataPolicy
    traceparent: str | None
    source_name: str = ""
    mapping: ColumnMapping | None = None
    purpose: Purpose = Purpose.VERSION


@dataclass(frozen=True, kw_only=True)
class KnownDataset:
    """The dataset that a request names, if there is one already."""

    task_id: str
    status: Status


def objections_to(request: VersionRequest, dataset: KnownDataset | None, *, max_source_bytes: int) -> tuple[str, ...]:
    """Why the request cannot be fulfilled whatever its source says; empty if it may be tried."""
    found: list[str] = []
    if dataset is not None and dataset.task_id != request.task_id:
        found.append(f"the dataset {request.dataset_name} belongs to the task {dataset.task_id}")
    if dataset is not None and dataset.status is Status.ARCHIVED:
        found.append(f"the dataset {request.dataset_name} is archived")
    if request.source.size_bytes > max_source_bytes:
        found.append(f"the source has {request.source.size_bytes} bytes, and at most {max_source_bytes} are read")
    held_out, validation = request.policy.held_out_share_0_1, request.policy.validation_share_0_1
    if held_out + validation >= 1:
        found.append(
            f"shares of {held_out:g} for held-out and {validation:g} for validation samples leave none to train on"
        )
    return tuple(found)

"""Small decisions: what a status may become, and which requests are refused unread."""

from datetime import UTC, datetime
from itertools import product

import pytest

from dataset_svc.domain.requests import KnownDataset, Origin, VersionRequest, objections_to
from dataset_svc.domain.versions.lifecycle import Status, check_change
from loopwright.contracts.base import Artifact
from loopwright.contracts.tasks import DataPolicy
from loopwright.errors import Conflict

ALLOWED = {("active", "deprecated"), ("active", "archived"), ("deprecated", "archived")}


@pytest.mark.parametrize(("current", "wanted"), list(product(Status, Status)))
def test_a_status_only_goes_forward(current: Status, wanted: Status) -> None:
    if (current, wanted) in ALLOWED:
        check_change(current, wanted)
    else:
        with pytest.raises(Conflict) as refusal:
            check_change(current, wanted)
        assert refusal.value.code == "dataset.status-final"


def objections(dataset: KnownDataset | None, *, size_bytes: int = 10) -> tuple[str, ...]:
    request = VersionRequest(
        request_id="q1", task_id="logs", dataset_name="logs", description="", origin=Origin.EVENT, requested_by="x",
        requested_at=datetime.now(UTC), reason="", sample_count=1, policy=DataPolicy(), traceparent=None,
        source=Artifact(uri="file:///x", sha256="0" * 64, size_bytes=size_bytes),
    )  # fmt: skip
    return objections_to(request, dataset, max_source_bytes=10)


def test_a_first_version_or_one_of_a_dataset_in_use_may_be_tried() -> None:
    assert objections(None) == ()
    assert objections(KnownDataset(task_id="logs", status=Status.ACTIVE)) == ()
    assert objections(KnownDataset(task_id="logs", status=Status.DEPRECATED)) == ()


def test_another_tasks_or_an_archived_dataset_or_too_much_is_refused() -> None:
    assert objections(KnownDataset(task_id="maths", status=Status.ARCHIVED), size_bytes=11) == (
        "the dataset logs belongs to the task maths",
        "the dataset logs is archived",
        "the source has 11 bytes, and at most 10 are read",
    )

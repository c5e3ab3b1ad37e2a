"""Small decisions: what a status may become, and which requests are refused unread."""

from datetime import UTC, datetime
from itertools import product

import pytest

from dataset_svc.domain.requests import KnownDataset, Origin, VersionRequest, objections_to
from dataset_svc.domain.splits import Shares
from dataset_svc.domain.versions.lifecycle import Status, check_change
from dataset_svc.domain.versions.new_splits import check_held_out_stays
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


def objections(
    dataset: KnownDataset | None, *, size_bytes: int = 10, shares: tuple[float, float] = (0.2, 0.1)
) -> tuple[str, ...]:
    request = VersionRequest(
        request_id="q1", task_id="logs", dataset_name="logs", description="", origin=Origin.EVENT, requested_by="x",
        requested_at=datetime.now(UTC), reason="", sample_count=1, policy=DataPolicy(held_out_share_0_1=shares[0], validation_share_0_1=shares[1]), traceparent=None,
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


def test_shares_that_leave_nothing_to_train_on_are_refused() -> None:
    assert objections(None, shares=(0.6, 0.3)) == ()
    assert objections(None, shares=(0.6, 0.4)) == (
        "shares of 0.6 for held-out and 0.4 for validation samples leave none to train on",
    )


@pytest.mark.parametrize(
    ("wanted", "current", "held_out", "refused"),
    [(0.2, 0.1, 20, False), (0.19, 0.2, 20, True), (0.2, 0.2, 23, False), (0.0, 0.2, 0, False), (0.21, 0.2, 23, True)],
)
def test_what_was_held_out_is_never_asked_back(wanted: float, current: float, held_out: int, *, refused: bool) -> None:
    one, other = (Shares(held_out_0_1=share, validation_0_1=0.1) for share in (wanted, current))
    if not refused:
        check_held_out_stays(one, other, held_out=held_out, samples=100)
        return
    with pytest.raises(Conflict) as refusal:
        check_held_out_stays(one, other, held_out=held_out, samples=100)
    assert refusal.value.code == "dataset.held-out-stays"
    least = refusal.value.facts["least_held_out_share_0_1"]
    assert isinstance(least, float)
    check_held_out_stays(Shares(held_out_0_1=least, validation_0_1=0.1), other, held_out=held_out, samples=100)

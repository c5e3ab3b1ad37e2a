"""When a task asks for a dataset."""

from datetime import UTC, datetime, timedelta

import pytest

from feedback_svc.domain.retraining import is_due
from loopwright.contracts.tasks import RetrainingPolicy

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
POLICY = RetrainingPolicy(min_new_samples=10, cooldown_s=3600)


@pytest.mark.parametrize(
    ("new_samples", "minutes_since_last", "answer"),
    [
        (9, None, "wait"), (10, None, "ask"), (10, 59, "wait"), (10, 60, "ask"), (500, 59, "wait"), (9, 600, "wait"),
    ],
)  # fmt: skip
def test_asks_for_enough_samples_after_the_cool_down(
    new_samples: int, minutes_since_last: int | None, answer: str
) -> None:
    last = None if minutes_since_last is None else NOON - timedelta(minutes=minutes_since_last)
    assert is_due(POLICY, new_samples=new_samples, last_requested_at=last, now=NOON) is (answer == "ask")


def test_never_asks_when_the_policy_is_off() -> None:
    off = POLICY.model_copy(update={"enabled": False})
    assert not is_due(off, new_samples=1000, last_requested_at=None, now=NOON)

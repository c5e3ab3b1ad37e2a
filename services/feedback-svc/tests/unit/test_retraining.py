"""When a task asks for a dataset, and why."""

from datetime import UTC, datetime, timedelta

import pytest

from feedback_svc.domain.retraining import Signal, SignalKind, Situation, why_ask
from loopwright.contracts.schedules import CronSchedule
from loopwright.contracts.tasks import RetrainingPolicy

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
POLICY = RetrainingPolicy(min_new_samples=30, cooldown_s=3600, patience_s=7200)
DROP = Signal(kind=SignalKind.QUALITY_DROP, detail="stars went from 4.6 to 3.2")
MANUAL = Signal(kind=SignalKind.MANUAL, detail="anna asked for it")


def situation(new: int, *signals: Signal, last: float | None = None, under_way: float | None = None) -> Situation:
    """Times are minutes before noon."""
    return Situation(
        new_samples=new,
        last_requested_at=None if last is None else NOON - timedelta(minutes=last),
        under_way_since=None if under_way is None else NOON - timedelta(minutes=under_way),
        known_since=NOON - timedelta(days=3),
        signals=signals,
    )


@pytest.mark.parametrize(
    ("new_samples", "minutes_since_last", "asks"),
    [(29, None, False), (30, None, True), (30, 59, False), (30, 60, True), (500, 59, False), (29, 600, False)],
)
def test_asks_for_enough_samples_after_the_cool_down(
    new_samples: int, minutes_since_last: int | None, *, asks: bool
) -> None:
    why = why_ask(POLICY, situation(new_samples, last=minutes_since_last), now=NOON)
    assert why == ("at least the 30 that the policy waits for" if asks else None)


def test_never_asks_by_itself_when_the_policy_is_off() -> None:
    off = POLICY.model_copy(update={"enabled": False})
    assert why_ask(off, situation(1000, DROP), now=NOON) is None
    assert why_ask(off, situation(1000, MANUAL), now=NOON) == "anna asked for it"


def test_a_fall_of_quality_asks_with_ten_new_samples_after_the_cool_down() -> None:
    assert why_ask(POLICY, situation(10, DROP), now=NOON) == DROP.detail
    assert why_ask(POLICY, situation(9, DROP), now=NOON) is None
    assert why_ask(POLICY, situation(10, DROP, last=59), now=NOON) is None


def test_a_person_waits_for_no_cool_down_but_needs_ten_samples() -> None:
    assert why_ask(POLICY, situation(10, MANUAL, last=1), now=NOON) == MANUAL.detail
    assert why_ask(POLICY, situation(9, MANUAL), now=NOON) is None


def test_asks_by_schedule_once_and_not_long_after_its_time() -> None:
    policy = POLICY.model_copy(
        update={"schedule": CronSchedule(cron="0 20 * * *", time_zone="Asia/Seoul"), "cooldown_s": 0}
    )
    at_eight = NOON - timedelta(hours=1)  # 20:00 in Seoul
    assert why_ask(policy, situation(10), now=at_eight) == "it is time by the schedule 0 20 * * * (Asia/Seoul)"
    assert why_ask(policy, situation(10), now=at_eight - timedelta(seconds=1)) is None
    assert why_ask(policy, situation(9), now=at_eight) is None
    assert why_ask(policy, situation(10, last=59), now=NOON) is None, "it asked at 20:01"
    assert why_ask(policy, situation(10), now=NOON + timedelta(minutes=1)) is None


class TestNeverTwoAtOnce:
    @pytest.mark.parametrize("signals", [(), (DROP,), (MANUAL,)])
    def test_everything_waits_for_what_is_under_way(self, signals: tuple[Signal, ...]) -> None:
        assert why_ask(POLICY, situation(1000, *signals, last=119, under_way=119), now=NOON) is None
        assert why_ask(POLICY, situation(1000, *signals, last=119), now=NOON) is not None

    def test_but_no_longer_than_the_patience(self) -> None:
        assert why_ask(POLICY, situation(1000, last=120, under_way=120), now=NOON) is not None

"""Schedules: when they are due, through leaps of the clocks, and what is refused as none."""

from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError

from feedback_svc.domain.schedules import is_due, next_after
from loopwright.contracts.schedules import CronSchedule

NEW_YORK, SEOUL, BERLIN = "America/New_York", "Asia/Seoul", "Europe/Berlin"


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("cron", "zone", "after", "due"),
    [
        ("0 1 * * *", "UTC", "2026-11-22T00:59:59", "2026-11-22T01:00"),
        ("0 1 * * *", "UTC", "2026-11-22T01:00", "2026-11-23T01:00"),
        ("0 1 * * *", SEOUL, "2026-11-22T00:00", "2026-11-22T16:00"),
        ("*/15 9-17/4 * * mon-fri", "UTC", "2026-11-21T12:00", "2026-11-23T09:00"),
        ("30 4 1,15 * 5", "UTC", "2026-11-22T00:00", "2026-11-27T04:30"),  # either day is enough
        ("0 0 29 2 *", "UTC", "2026-11-22T00:00", "2028-02-29T00:00"),
        ("0 0 29 2 *", "UTC", "2096-03-01T00:00", "2104-02-29T00:00"),
        ("0 3 * * 7", "UTC", "2026-11-22T04:00", "2026-11-29T03:00"),  # Sunday is 0 and 7
        ("5/20 * * jan *", "UTC", "2026-01-01T00:06", "2026-01-01T00:25"),
    ],
)
def test_is_due_next_at_the_first_time_that_all_fields_allow(cron: str, zone: str, after: str, due: str) -> None:
    assert next_after(CronSchedule(cron=cron, time_zone=zone), at(after)) == at(due)


def test_a_day_that_no_month_has_never_comes() -> None:
    assert next_after(CronSchedule(cron="0 0 30 2 *"), at("2026-01-01T00:00")) is None


class TestClocksThatLeap:
    def test_a_time_that_is_leapt_over_is_due_right_after_the_leap(self) -> None:
        schedule = CronSchedule(cron="30 2 * * *", time_zone=NEW_YORK)  # 2026-03-08 02:00 becomes 03:00
        assert next_after(schedule, at("2026-03-08T00:00")) == at("2026-03-08T07:00")
        assert next_after(schedule, at("2026-03-08T07:00")) == at("2026-03-09T06:30")

    def test_a_time_that_comes_twice_is_due_the_first_time_only(self) -> None:
        schedule = CronSchedule(cron="30 2 * * *", time_zone=BERLIN)  # 2026-10-25 03:00 becomes 02:00
        assert next_after(schedule, at("2026-10-24T12:00")) == at("2026-10-25T00:30")
        assert next_after(schedule, at("2026-10-25T00:30")) == at("2026-10-26T01:30")

    def test_a_schedule_for_every_hour_follows_the_hours_as_they_pass(self) -> None:
        schedule = CronSchedule(cron="0 * * * *", time_zone=BERLIN)
        moment, seen = at("2026-10-24T23:30"), list[datetime]()
        for _ in range(4):
            moment = next_after(schedule, moment) or moment
            seen.append(moment)
        assert seen == [at(f"2026-10-25T0{hour}:00") for hour in range(4)]

    def test_a_day_that_a_zone_skipped_is_made_up_for_when_it_ends(self) -> None:
        schedule = CronSchedule(cron="0 12 30 12 *", time_zone="Pacific/Apia")  # 2011-12-30 did not exist
        assert next_after(schedule, at("2011-12-28T00:00")) == at("2011-12-30T10:00")


class TestGrace:
    SCHEDULE = CronSchedule(cron="0 2 * * *")

    @pytest.mark.parametrize(("now", "due"), [("01:59", False), ("02:00", True), ("02:59", True), ("03:01", False)])
    def test_what_was_missed_for_long_is_let_go(self, now: str, due: bool) -> None:  # noqa: FBT001 - a table
        since, grace = at("2026-11-20T00:00"), timedelta(hours=1)
        assert is_due(self.SCHEDULE, since=since, now=at(f"2026-11-22T{now}"), grace=grace) is due

    def test_is_due_once(self) -> None:
        ran = at("2026-11-22T02:00:03")
        assert not is_due(self.SCHEDULE, since=ran, now=at("2026-11-22T02:10"), grace=timedelta(hours=1))


@pytest.mark.parametrize(
    "cron",
    ["", "* * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 8", "*/0 * * * *", "9-1 * * * *",
     "a * * * *", "٣ * * * *", "1,,2 * * * *", "1- * * * *", "@daily x x x x", "* * * * * *"],
)  # fmt: skip
def test_refuses_what_is_no_schedule(cron: str) -> None:
    with pytest.raises(ValidationError):
        CronSchedule(cron=cron)


@pytest.mark.parametrize("zone", ["Mars/Base", "", "../../etc/passwd", "/etc/passwd", "Asia", "Asia/\0Seoul"])
def test_refuses_zones_that_nobody_knows(zone: str) -> None:
    with pytest.raises(ValidationError):
        CronSchedule(cron="* * * * *", time_zone=zone)

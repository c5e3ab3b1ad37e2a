"""When a schedule is due next: crontab(5) in a time zone, through every change of its clocks.

As in Vixie's cron: where both the day of the month and the day of the week are restricted, either of them is enough.
A time that the clocks leap over is due right after the leap, one that comes twice is due the first time; a schedule
for every hour follows the hours as they pass and knows neither.
"""

from bisect import bisect_left
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from loopwright.contracts.schedules import CronSchedule, read_cron

_LONGEST_SEARCH = timedelta(days=366 * 8 + 3)  # 29 February may be eight years away (1896-1904, 2096-2104)
_ALL_HOURS = 24


def next_after(schedule: CronSchedule, moment: datetime) -> datetime | None:
    """The first time after a moment at which a schedule is due, in UTC; None if it never is (30 February)."""
    zone = ZoneInfo(schedule.time_zone)
    minutes, hours, *days = read_cron(schedule.cron)
    first = (moment.astimezone(zone) - timedelta(days=1)).date()  # a leap may push yesterday's time into today
    day = first
    while day - first <= _LONGEST_SEARCH:
        if _is_day(day, days, schedule.cron):
            due = [at for at in _times(day, hours, minutes, zone) if at > moment]
            if due:
                return min(due)
        day += timedelta(days=1)
    return None


def is_due(schedule: CronSchedule, *, since: datetime, now: datetime, grace: timedelta) -> bool:
    """Whether a time of the schedule has come since a moment; one that was missed by more than the grace is let go."""
    at = next_after(schedule, max(since, now - grace))
    return at is not None and at <= now


def _is_day(day: date, days: list[frozenset[int]], cron: str) -> bool:
    in_month, months, in_week = days
    if day.month not in months:
        return False
    _, _, month_field, _, week_field = cron.split()
    by_month, by_week = day.day in in_month, day.isoweekday() % 7 in in_week
    if month_field.startswith("*") or week_field.startswith("*"):
        return by_month and by_week
    return by_month or by_week


def _times(day: date, hours: frozenset[int], minutes: frozenset[int], zone: ZoneInfo) -> Iterator[datetime]:
    every_hour = len(hours) == _ALL_HOURS
    for hour in hours:
        for minute in minutes:
            wall = datetime.combine(day, time(hour, minute), zone)
            first, second = (wall.replace(fold=fold).astimezone(UTC) for fold in (0, 1))
            if first.astimezone(zone).replace(tzinfo=None) == wall.replace(tzinfo=None):
                yield first
                if every_hour and second != first:
                    yield second
            elif not every_hour:
                yield _leap_between(second, first, zone)


def _leap_between(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """The minute at which the clocks of a zone leap, between two moments around it (PEP 495: the two folds)."""
    minutes = range((after - before) // timedelta(minutes=1) + 1)
    was = before.astimezone(zone).utcoffset()

    def has_leapt(minute: int) -> bool:
        return (before + timedelta(minutes=minute)).astimezone(zone).utcoffset() != was

    return before + timedelta(minutes=bisect_left(minutes, True, key=has_leapt))

"""Times that recur: the five fields of crontab(5) in a time zone, checked where they are declared."""

from typing import Self
from zoneinfo import ZoneInfo

from pydantic import Field, model_validator

from loopwright.contracts.base import Value

_RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
_NAMES = ("minute", "hour", "day of the month", "month", "day of the week")
_MONTHS = {
    name: number
    for number, name in enumerate(
        ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"], 1
    )
}
_DAYS = {name: number for number, name in enumerate(["sun", "mon", "tue", "wed", "thu", "fri", "sat"])}


class CronSchedule(Value):
    """When something happens by itself, as in crontab(5)."""

    cron: str = Field(
        max_length=200,
        description="minute, hour, day of the month, month, day of the week: numbers, names, *, ranges, lists, steps",
    )
    time_zone: str = Field(default="UTC", max_length=64, description="IANA name, as `Asia/Seoul`")

    @model_validator(mode="after")
    def _can_be_read(self) -> Self:
        read_cron(self.cron)
        try:
            ZoneInfo(self.time_zone)
        except (KeyError, ValueError, OSError) as error:
            raise ValueError(f"{self.time_zone!r} is not a time zone that is known here") from error
        return self


def read_cron(cron: str) -> tuple[frozenset[int], ...]:
    """The values that each of the five fields allows; Sunday is 0.

    Raises:
        ValueError: it is no schedule; says which field is wrong.
    """
    fields = cron.split()
    if len(fields) != len(_RANGES):
        raise ValueError(f"a schedule has {len(_RANGES)} fields, this one {len(fields)}")
    read = [_read_field(text.lower(), number) for number, text in enumerate(fields)]
    read[4] = frozenset(day % 7 for day in read[4])
    return tuple(read)


def _read_field(text: str, number: int) -> frozenset[int]:
    allowed: set[int] = set()
    for part in text.split(","):
        spread, slash, step = part.partition("/")
        low, high = _read_range(spread, number, open_ended=bool(slash))
        width = _read_number(step, number) if slash else 1
        if width < 1:
            raise ValueError(f"the {_NAMES[number]} has a step below 1")
        allowed.update(range(low, high + 1, width))
    return frozenset(allowed)


def _read_range(text: str, number: int, *, open_ended: bool) -> tuple[int, int]:
    least, most = _RANGES[number]
    if text == "*":
        return least, most
    first, dash, last = text.partition("-")
    low = _read_number(first, number)
    high = _read_number(last, number) if dash else most if open_ended else low
    if not least <= low <= high <= most:
        raise ValueError(f"the {_NAMES[number]} {text} is not within {least}-{most}")
    return low, high


def _read_number(text: str, number: int) -> int:
    named = (_MONTHS if number == 3 else _DAYS if number == 4 else {}).get(text)
    if named is not None:
        return named
    if not (text.isascii() and text.isdigit() and len(text) <= 2):
        raise ValueError(f"the {_NAMES[number]} cannot be read: {text[:20]!r}")
    return int(text)

"""The loop of long work: looks again, waits out dependencies, and lets every bug through."""

import asyncio
from collections.abc import Iterator

import pytest

from loopwright import repeating
from loopwright.errors import NotFound, StoreUnavailable
from loopwright.repeating import repeat


class Stop(Exception):
    pass


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    delays: list[float] = []

    async def sleep(delay_s: float) -> None:
        delays.append(delay_s)

    monkeypatch.setattr(repeating.asyncio, "sleep", sleep)
    return delays


def playing(*results: bool | Exception) -> object:
    remaining: Iterator[bool | Exception] = iter([*results, Stop()])

    async def step() -> bool:
        result = next(remaining)
        if isinstance(result, Exception):
            raise result
        return result

    return step


async def test_goes_on_at_once_while_there_is_work_and_idles_when_there_is_none(slept: list[float]) -> None:
    with pytest.raises(Stop):
        await repeat(playing(True, True, False, True, False), name="work", idle_s=0.25)
    assert slept == [0.25, 0.25]


async def test_waits_longer_and_longer_for_a_dependency_up_to_15_seconds(slept: list[float]) -> None:
    away = StoreUnavailable("store.unavailable", "away")
    with pytest.raises(Stop):
        await repeat(playing(*[away] * 8), name="work")
    assert slept == sorted(slept)
    assert (slept[0], slept[-1]) == (1.0, 15.0)


async def test_forgets_failures_after_a_success(slept: list[float]) -> None:
    away = StoreUnavailable("store.unavailable", "away")
    with pytest.raises(Stop):
        await repeat(playing(away, away, True, away), name="work")
    assert slept == [1.0, 2.0, 1.0]


@pytest.mark.parametrize("bug", [ValueError("bug"), NotFound("a.code", "a bug too, here")])
async def test_every_other_error_ends_the_loop(bug: Exception) -> None:
    with pytest.raises(type(bug)):
        await repeat(playing(True, bug), name="work")


async def test_can_be_cancelled_while_idle() -> None:
    task = asyncio.create_task(repeat(playing(*[False] * 1000), name="work", idle_s=0.01))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

"""Drives one turn of the loop from outside: traffic, ratings and reading, nothing else; the services do the rest."""

import asyncio
import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass

from loopwright.contracts.deployments import DeploymentChanged
from loopwright.contracts.models import ModelEvaluated
from loopwright_local.demo.raters import Answered, Raters, Tally
from loopwright_local.demo.records import LabelledLine, stream_of
from loopwright_local.demo.watch import LoopFailed, Watcher

_TRICKLE_S = 10.0  # seconds between requests while the machine trains: serving goes on, and leaves it the cores
_CONFIRMATIONS = 12


@dataclass(frozen=True)
class Limits:
    """Longest wait for each part of the loop, in seconds."""

    deployed_s: float = 300
    taught_s: float = 600
    trained_s: float = 1200
    decided_s: float = 600
    promoted_s: float = 120


@dataclass(frozen=True)
class LoopResult:
    """What one turn of the loop came to."""

    evaluated: ModelEvaluated
    deployed: DeploymentChanged
    tally: Tally
    ratings_sent: int
    confirmations: tuple[Answered, ...]
    seconds: dict[str, float]


async def turn_loop(
    watcher: Watcher, raters: Raters, lines: list[LabelledLine], *, limits: Limits, say: Callable[[str], None]
) -> LoopResult:
    """Sends traffic until a better model is in charge.

    Args:
        lines: Labelled lines; they are asked in an order in which alerts and normal lines alternate.

    Raises:
        LoopFailed: a stage failed or was not reached in time; the text says which and why.
    """
    began = time.monotonic()
    turns = _turns(lines)
    await watcher.wait("deployed", limit_s=limits.deployed_s)
    say("people use the base model, rate its answers and correct them")
    await _teach(watcher, raters, turns, limit_s=limits.taught_s)
    await _trickle_until(watcher, raters, turns, stage="experiment", limit_s=limits.trained_s)
    say("people go on; each of them always gets the same variant")
    async with asyncio.timeout(limits.decided_s):
        await raters.work(turns, until=watcher.reached("concluded"))
    watcher.check()
    await watcher.wait("promoted", limit_s=limits.promoted_s)
    deployed = watcher.last[DeploymentChanged]
    evaluated = watcher.last[ModelEvaluated]
    assert isinstance(deployed, DeploymentChanged)
    assert isinstance(evaluated, ModelEvaluated)
    winner = deployed.champion.variant.variant_id
    confirmations = await _confirm(raters, turns, winner=winner, limit_s=limits.promoted_s)
    say(f"all traffic goes to {winner}")
    return LoopResult(
        evaluated=evaluated, deployed=deployed, tally=raters.tally, ratings_sent=raters.ratings_sent,
        confirmations=confirmations, seconds=_stage_seconds(watcher, began),
    )  # fmt: skip


def _turns(lines: list[LabelledLine]) -> Iterator[tuple[LabelledLine, str]]:
    """Endless turns; a person comes back for a second question and then somebody else comes."""
    return ((line, f"operator-{turn // 2:05d}") for turn, line in enumerate(itertools.cycle(stream_of(lines, seed=11))))


async def _teach(
    watcher: Watcher, raters: Raters, turns: Iterator[tuple[LabelledLine, str]], *, limit_s: float
) -> None:
    try:
        async with asyncio.timeout(limit_s):
            await raters.work(turns, until=watcher.reached("dataset requested"))
    except TimeoutError as error:
        raise LoopFailed("ratings did not lead to a dataset in time") from error
    watcher.check()


async def _trickle_until(
    watcher: Watcher, raters: Raters, turns: Iterator[tuple[LabelledLine, str]], *, stage: str, limit_s: float
) -> None:
    async def trickle() -> None:
        for line, user in turns:
            await raters.ask_and_rate(line, user)
            await asyncio.sleep(_TRICKLE_S)

    traffic = asyncio.create_task(trickle())
    try:
        await watcher.wait(stage, limit_s=limit_s)
    finally:
        traffic.cancel()
        with suppress(asyncio.CancelledError):
            await traffic


async def _confirm(
    raters: Raters, turns: Iterator[tuple[LabelledLine, str]], *, winner: str, limit_s: float
) -> tuple[Answered, ...]:
    """Asks as new people until a row of answers comes from the winner alone.

    Raises:
        LoopFailed: others still answer after the limit.
    """
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        answers = await asyncio.gather(
            *(raters.ask(line, user) for line, user in itertools.islice(turns, _CONFIRMATIONS))
        )
        if all(answer.variant == winner for answer in answers):
            return tuple(answers)
        await asyncio.sleep(1)
    raise LoopFailed(f"the router does not send all traffic to {winner}")


def _stage_seconds(watcher: Watcher, began: float) -> dict[str, float]:
    """Seconds that each stage took, from the end of the one before it."""
    ends = (
        ("gather ratings", "dataset requested"),
        ("make the dataset", "dataset validated"),
        ("wait for a device", "training"),
        ("train", "job finished"),
        ("register and load", "model registered"),
        ("evaluate", "evaluated"),
        ("experiment", "concluded"),
        ("promote", "promoted"),
    )
    seconds: dict[str, float] = {}
    before = max(began, watcher.moments.get("deployed", began))
    for name, end in ends:
        at = watcher.moments.get(end)
        if at is not None:
            seconds[name] = max(0.0, at - before)
            before = at
    return seconds

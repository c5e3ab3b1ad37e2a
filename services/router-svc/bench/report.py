# ruff: noqa: INP001 (beside a script)
"""Medians over the rounds, ratios to the peers, and the goals of the issue beside them."""

import sys
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from loads import BURST, CEILING, LONG_PROMPTS, STEADY, STREAMS, Round
from native import Measured

ROUTER, DIRECT = "router-svc", "direct"
Read = Callable[[Measured], float | None]


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One thing that is measured.

    Attributes:
        added: What direct takes under the same load is subtracted.
    """

    title: str
    load: str
    unit: str
    read: Read
    added: bool = False


def _cpu_per_request(one: Measured) -> float | None:
    return one.cpu_s * 1e6 / one.answered_in_time if one.answered_in_time else None


def _cpu_per_chunk(one: Measured) -> float | None:
    return one.cpu_s * 1e6 / one.chunks_in_time if one.chunks_in_time else None


REQUESTS = Figure(title="requests at c=64", load=CEILING.name, unit="/s", read=lambda one: one.requests_s)
CPU_REQUEST = Figure(title="processor a request", load=CEILING.name, unit="µs", read=_cpu_per_request)
LONG = Figure(title="requests of 32 KB at c=64", load=LONG_PROMPTS.name, unit="/s", read=lambda one: one.requests_s)
P50 = Figure(title="added p50 at 500/s", load=STEADY.name, unit="µs", read=lambda one: one.latency_p50_us, added=True)
P99 = Figure(title="added p99 at 500/s", load=STEADY.name, unit="µs", read=lambda one: one.latency_p99_us, added=True)
FIRST_P50 = Figure(
    title="added first chunk, p50 at 300 streams/s",
    load=STREAMS.name,
    unit="µs",
    read=lambda one: one.first_event_p50_us,
    added=True,
)
FIRST_P99 = Figure(
    title="added first chunk, p99 at 300 streams/s",
    load=STREAMS.name,
    unit="µs",
    read=lambda one: one.first_event_p99_us,
    added=True,
)
CPU_CHUNK = Figure(title="processor a chunk at 300 streams/s", load=STREAMS.name, unit="µs", read=_cpu_per_chunk)
BURST_P50 = Figure(
    title="32 chunks at once, p50 of the whole", load=BURST.name, unit="µs", read=lambda one: one.latency_p50_us
)
MEMORY = Figure(
    title="resident memory after all loads", load=BURST.name, unit="MB", read=lambda one: one.rss_bytes / 1e6
)
FIGURES = (REQUESTS, CPU_REQUEST, LONG, P50, P99, FIRST_P50, FIRST_P99, CPU_CHUNK, BURST_P50, MEMORY)


@dataclass(frozen=True, kw_only=True)
class Goal:
    """A ratio to a peer that router-svc should reach; without a peer, a figure of its own.

    Attributes:
        least: It is a floor, not a ceiling.
        stretch: The further goal, if there is one.
    """

    figure: Figure
    peer: str | None
    limit: float
    least: bool = False
    stretch: float | None = None

    def met_by(self, value: float) -> bool:
        return value >= self.limit if self.least else value <= self.limit

    def __str__(self) -> str:
        sign = "≥" if self.least else "≤"
        return f"{sign} {self.limit:g}" + (f" ({self.stretch:g})" if self.stretch else "")


GOALS = (
    Goal(figure=REQUESTS, peer="vllm-router", limit=2, stretch=2.5, least=True),
    Goal(figure=REQUESTS, peer="tensorzero", limit=5, stretch=6.5, least=True),
    Goal(figure=REQUESTS, peer="litellm", limit=300, stretch=400, least=True),
    Goal(figure=REQUESTS, peer="nginx", limit=0.5, stretch=0.6, least=True),
    Goal(figure=LONG, peer="vllm-router", limit=1.5, least=True),
    Goal(figure=P50, peer="vllm-router", limit=0.8),
    Goal(figure=P99, peer="vllm-router", limit=1.0),
    Goal(figure=FIRST_P50, peer="vllm-router", limit=0.75),
    Goal(figure=CPU_CHUNK, peer="vllm-router", limit=0.8),
    Goal(figure=BURST_P50, peer=DIRECT, limit=1.3),
    Goal(figure=MEMORY, peer=None, limit=100),
)


class Table:
    """Medians of every figure by gateway."""

    def __init__(self, rounds: Sequence[Round]) -> None:
        self._rounds = rounds
        self.gateways = tuple(dict.fromkeys(one.gateway for one in rounds))

    def value(self, figure: Figure, gateway: str) -> float | None:
        """Median over the rounds; None where the gateway was not put under that load."""
        values = self._values(figure, gateway)
        base = self._values(figure, DIRECT) if figure.added else [0.0]
        return median(values) - median(base) if values and base else None

    def spread(self, figure: Figure, gateway: str) -> tuple[float, float] | None:
        values = self._values(figure, gateway)
        return (min(values), max(values)) if values else None

    def troubles(self) -> list[str]:
        """Loads in which not every request was answered whole."""
        return [
            f"{one.gateway}, {load}: {measured.failed} failed, {measured.broken} broken, {measured.unanswered} unanswered; "
            f"first: {measured.first_failure}"
            for one in self._rounds
            for load, measured in one.measured.items()
            if not measured.whole
        ]

    def _values(self, figure: Figure, gateway: str) -> list[float]:
        of_gateway = [one.measured.get(figure.load) for one in self._rounds if one.gateway == gateway]
        return [value for one in of_gateway if one is not None and (value := figure.read(one)) is not None]


def print_report(rounds: Sequence[Round], *, versions: Mapping[str, str], missing: Mapping[str, str]) -> None:
    table = Table(rounds)
    say("\n" + _row("medians", table.gateways) + "\n" + _row("", [versions.get(name, "") for name in table.gateways]))
    for figure in FIGURES:
        say(_row(f"{figure.title}, {figure.unit}", [_shown(table.value(figure, name)) for name in table.gateways]))
        if figure is REQUESTS:
            say(_row("  lowest and highest", [_range(table.spread(figure, name)) for name in table.gateways]))
    for name, why in missing.items():
        say(f"{name} was not measured: {why}")
    for trouble in table.troubles():
        say(f"NOT WHOLE: {trouble}")
    if ROUTER in table.gateways:
        _print_threads(
            [one.measured[CEILING.name] for one in rounds if one.gateway == ROUTER and CEILING.name in one.measured]
        )
        _print_goals(table)


def _row(title: str, cells: Sequence[str]) -> str:
    return f"{title:<46}" + "".join(f"{cell:>21}" for cell in cells)


def _shown(value: float | None) -> str:
    return "–" if value is None else f"{value:,.{0 if abs(value) >= 100 else 1}f}"


def _range(spread: tuple[float, float] | None) -> str:
    return "–" if spread is None else f"{spread[0]:,.0f}–{spread[1]:,.0f}"


def _print_threads(ceilings: Sequence[Measured]) -> None:
    """Where a request's processor time goes at c=64: the loop, librdkafka, other threads of Python."""
    answered = sum(one.answered_in_time for one in ceilings)
    if not answered:
        return
    seconds = defaultdict[str, float](float)
    for one in ceilings:
        for name, thread_s in one.threads_s.items():
            seconds[name] += thread_s
    say(f"\n{ROUTER + ', processor a request by thread, µs':<46}")
    for name, thread_s in sorted(seconds.items(), key=lambda item: -item[1]):
        if thread_s > 0:
            say(_row(f"  {name}", [_shown(thread_s * 1e6 / answered)]))


def _print_goals(table: Table) -> None:
    say(f"\n{ROUTER + ' against':<58}{'ratio':>10}{'goal (stretch)':>18}")
    for goal in GOALS:
        title = f"{goal.figure.title}, {goal.peer or goal.figure.unit}"
        ratio = _ratio(table, goal)
        if ratio is None:
            say(f"{title:<58}{'–':>10}{goal!s:>18}   not measured")
        else:
            say(f"{title:<58}{ratio:>10.2f}{goal!s:>18}   {'met' if goal.met_by(ratio) else 'NOT MET'}")


def _ratio(table: Table, goal: Goal) -> float | None:
    own = table.value(goal.figure, ROUTER)
    if own is None or goal.peer is None:
        return own
    peer = table.value(goal.figure, goal.peer)
    return own / peer if peer is not None and peer > 0 else None


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()

"""Figures of inferences, counted in plain numbers on the request path and made into metrics when somebody asks.

Names and units follow OpenTelemetry's semantic conventions for generative AI (gen_ai.server.request.duration,
gen_ai.server.time_to_first_token, gen_ai.client.token.usage); `loopwright_router_*` are the platform's own.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import Final

from prometheus_client import REGISTRY
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

_DURATIONS_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
_FIRST_BYTES_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
_TOKENS = (1, 4, 16, 64, 256, 1024, 4096, 16_384, 65_536, 262_144, 1_048_576)
_LABELS = ("task", "variant")
_place: Final = bisect_left


class Distribution:
    """How often values fell below each bound, and what they sum to."""

    __slots__ = ("_bounds", "_counts", "_sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        self._counts[_place(self._bounds, value)] += 1
        self._sum += value

    def add_to(self, family: HistogramMetricFamily, labels: Sequence[str]) -> None:
        total = 0
        buckets: list[tuple[str, float]] = []
        for bound, count in zip((*map(float, self._bounds), float("inf")), self._counts, strict=True):
            total += count
            buckets.append(("+Inf" if bound == float("inf") else str(bound), total))
        family.add_metric(labels, buckets, self._sum)


class Tally:
    """Figures of one variant of one task."""

    __slots__ = ("durations_s", "first_bytes_s", "outcomes", "tokens_read", "tokens_written")

    def __init__(self) -> None:
        self.outcomes: dict[str, int] = {}
        self.durations_s = Distribution(_DURATIONS_S)
        self.first_bytes_s = Distribution(_FIRST_BYTES_S)
        self.tokens_read = Distribution(_TOKENS)
        self.tokens_written = Distribution(_TOKENS)


class Tallies(Collector):
    """Figures by task and variant."""

    def __init__(self) -> None:
        self._tallies: dict[tuple[str, str], Tally] = {}

    def of(self, task_id: str, variant_id: str) -> Tally:
        tally = self._tallies.get((task_id, variant_id))
        if tally is None:
            tally = self._tallies[task_id, variant_id] = Tally()
        return tally

    def collect(self) -> Iterator[Metric]:
        tallies = [*self._tallies.items()]
        outcomes = CounterMetricFamily(
            "loopwright_router_inferences",
            "Requests that reached a model, by served variant and outcome: answered, fallback, refused, failed, broken,"
            " gone",
            labels=(*_LABELS, "outcome"),
        )
        for labels, tally in tallies:
            for outcome, count in tally.outcomes.items():
                outcomes.add_metric((*labels, outcome), count)
        yield outcomes
        for name, text in (
            ("loopwright_router_answer_seconds", "Seconds from a request to the last byte of its answer"),
            ("gen_ai_server_request_duration_seconds", "The same, by its OpenTelemetry name"),
        ):
            yield self._histogram(name, text, [(labels, tally.durations_s) for labels, tally in tallies])
        for name, text in (
            ("loopwright_router_first_byte_seconds", "Seconds from a request to the first byte of its answer"),
            ("gen_ai_server_time_to_first_token_seconds", "The same, by its OpenTelemetry name"),
        ):
            yield self._histogram(name, text, [(labels, tally.first_bytes_s) for labels, tally in tallies])
        yield self._token_usage()

    def _token_usage(self) -> Metric:
        family = HistogramMetricFamily(
            "gen_ai_client_token_usage", "Tokens of a request and its answer", labels=(*_LABELS, "gen_ai_token_type")
        )
        for labels, tally in [*self._tallies.items()]:
            tally.tokens_read.add_to(family, (*labels, "input"))
            tally.tokens_written.add_to(family, (*labels, "output"))
        return family

    @staticmethod
    def _histogram(name: str, text: str, values: Sequence[tuple[tuple[str, str], Distribution]]) -> Metric:
        family = HistogramMetricFamily(name, text, labels=_LABELS)
        for labels, distribution in values:
            distribution.add_to(family, labels)
        return family


TALLIES: Final = Tallies()
REGISTRY.register(TALLIES)

"""When a server that failed is asked again: a circuit breaker with growing rests and a slow return (Nygard 2007, 5.2)."""

from dataclasses import dataclass
from enum import IntEnum

_LONGEST_REST = 8  # times the first one
_LEAST_SHARE_0_1 = 0.1  # with which a server comes back


class Standing(IntEnum):
    """How gladly a server is asked; the lower the sooner."""

    GOOD = 0
    RESTING = 1  # failed lately: asked after the others
    OPEN = 2  # failed again and again: not asked until its rest is over, then by one request


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerRules:
    """How failures count.

    Attributes:
        rest_s: Rest after a failure; each further rest in a row is twice as long, up to eight times.
        open_after: Failures in a row after which nothing is asked during the rest.
        return_s: How long the way back to a full share takes.
    """

    rest_s: float
    open_after: int
    return_s: float


class Breaker:
    """What is known of one server's failures. Times are seconds of any clock that only goes forward."""

    __slots__ = ("_failures", "_probed_until", "_rests", "_rests_until", "_returned_at", "_rules")

    def __init__(self, rules: BreakerRules) -> None:
        self._rules = rules
        self._failures = 0
        self._rests = 0
        self._rests_until = 0.0
        self._probed_until = 0.0
        self._returned_at: float | None = None

    def standing(self, now: float) -> Standing:
        if not self._failures:
            return Standing.GOOD
        if self._failures < self._rules.open_after:
            return Standing.RESTING if now < self._rests_until else Standing.GOOD
        return Standing.OPEN if now < max(self._rests_until, self._probed_until) else Standing.GOOD

    def asked(self, now: float) -> None:
        """Notes a request; the one that probes an open circuit keeps the others away for another rest."""
        if self._failures >= self._rules.open_after:
            self._probed_until = now + self._rules.rest_s

    def failed(self, now: float) -> None:
        if now >= self._rests_until:  # else the request was on its way when the rest began: one event, one rest
            self._rests_until = now + self._rules.rest_s * min(2**self._rests, _LONGEST_REST)
            self._rests = min(self._rests + 1, _LONGEST_REST)
        self._failures = min(self._failures + 1, self._rules.open_after)  # no number grows for ever
        self._probed_until = 0.0
        self._returned_at = None

    def revived(self, now: float) -> None:
        """The server is there again: its rest ends, and the next request finds out."""
        self._rests_until = min(self._rests_until, now)

    def succeeded(self, now: float) -> None:
        if self._failures:
            self._failures = self._rests = 0
            self._probed_until = 0.0
            self._returned_at = now

    def share_0_1(self, now: float) -> float:
        """Part of its usual load that a server gets: little at first after a failure, then all (Envoy's slow start)."""
        if self._returned_at is None:
            return 1.0
        passed = (now - self._returned_at) / self._rules.return_s if self._rules.return_s else 1.0
        if passed >= 1:
            self._returned_at = None
            return 1.0
        return max(_LEAST_SHARE_0_1, passed)

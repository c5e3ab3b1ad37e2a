"""Shadow mode: a share of requests is asked of a candidate too, after the user has the answer; nobody sees that one.

A copy is an exchange of its own, under an id of its own, with nobody to reply to. It costs the user nothing: it begins
when the last byte has gone, takes no place from requests, and is dropped and counted where there is no room for it.
"""

import time
from dataclasses import replace
from http import HTTPStatus

import structlog

from loopwright.errors import PlatformError
from router_svc.adapters.metrics import SHADOWS
from router_svc.domain.callers import Caller
from router_svc.domain.snapshot import Route, Shadow
from router_svc.handlers.exchange import Exchange
from router_svc.handlers.recording import Journal
from router_svc.handlers.serving import Serving

_MOST_COPIED_BYTES = 256 << 10  # of a shadow's answer: what is longer is recorded without its text
_log = structlog.get_logger()


class _Nobody:
    """Takes an answer that nobody waits for."""

    def whole(self, status: int, headers: bytes, body: bytes) -> None:
        pass

    def start(self, status: int, headers: bytes) -> None:
        pass

    def write(self, chunk: bytes) -> None:
        pass

    def end(self, chunk: bytes) -> None:
        pass

    def refuse(self, error: PlatformError) -> None:
        pass


class _Place:
    """What one copy takes up among the others."""

    def __init__(self, taken: set["_Place"], size_bytes: int) -> None:
        self._taken = taken
        self.size_bytes = size_bytes
        self.copy: Exchange | None = None

    def leave(self, exchange: Exchange) -> None:
        del exchange
        self._taken.discard(self)


class Shadowing:
    """Copies requests to the candidates that only listen.

    Args:
        most: Copies in flight.
        most_bytes: Bytes of the requests of all of them together.
    """

    def __init__(self, serving: Serving, journal: Journal, *, most: int, most_bytes: int) -> None:
        copy_bytes = min(serving.limits.copy_bytes, _MOST_COPIED_BYTES)
        self._serving = replace(serving, limits=replace(serving.limits, copy_bytes=copy_bytes))
        self._journal = journal
        self._most = most
        self._most_bytes = most_bytes
        self._taken: set[_Place] = set()

    def copy(self, shown: Exchange) -> None:
        """Asks the shadow what was answered just now. Never raises: the user's request is over and well."""
        shadow = shown.route.shadow
        if shadow is None or shown.status >= HTTPStatus.BAD_REQUEST:
            return
        try:
            self._copy(shown, shadow)
        except Exception:  # noqa: BLE001 - a fault here must not reach the next exchange of the journal
            SHADOWS.labels("failed").inc()
            _log.exception("shadow.failed")

    def close(self) -> None:
        """Leaves the copies that are not answered yet, which are recorded as such, and begins no more."""
        self._most = 0
        for place in [*self._taken]:
            if place.copy is not None:
                place.copy.abandon()

    def _copy(self, shown: Exchange, shadow: Shadow) -> None:
        size_bytes = sum(map(len, shown.prompt.body_for(shadow.target)))
        bytes_taken = sum(place.size_bytes for place in self._taken)
        if len(self._taken) >= self._most or bytes_taken + size_bytes > self._most_bytes:
            SHADOWS.labels("dropped").inc()
            return
        place = _Place(self._taken, size_bytes)
        place.copy = self._exchange(shown, shadow, place)
        self._taken.add(place)
        try:
            place.copy.ask()
        except BaseException:
            self._taken.discard(place)
            raise
        SHADOWS.labels("copied").inc()

    def _exchange(self, shown: Exchange, shadow: Shadow, place: _Place) -> Exchange:
        started_ns, started_s = time.time_ns(), time.perf_counter()
        route = Route(
            task=shown.route.task,
            variant_id=shadow.target.variant_id,
            targets=(shadow.target,),
            experiment_id=shadow.experiment_id,
            epoch=shadow.epoch,
            arm=shadow.arm,
            propensity_0_1=shadow.propensity_0_1,
        )
        traceparent = shown.traceparent
        trail = self._serving.tracing.begin(
            None if traceparent is None else traceparent.encode(), name="shadow", started_ns=started_ns
        )
        caller = Caller("shadow", tenant=shown.caller.tenant)  # the copy is not on the caller's account
        return Exchange(
            self._serving, journal=self._journal, room=place, reply=_Nobody(), caller=caller, route=route,
            prompt=shown.prompt, unit_hash=shown.unit_hash, trail=trail, started_ns=started_ns,
            started_s=started_s, forwarded=b"", shadow_of=shown.inference_id,
        )  # fmt: skip

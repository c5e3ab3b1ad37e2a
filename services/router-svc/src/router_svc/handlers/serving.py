"""What answering needs: the parts that requests are answered with, and the limits that hold for all of them."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from router_svc.adapters.board import Board
from router_svc.adapters.spool import Spool
from router_svc.adapters.tracing import Tracing
from router_svc.adapters.upstream import Upstream
from router_svc.domain.callers import Caller
from router_svc.domain.contents import Conceal
from router_svc.domain.inference_ids import NONCE_BYTES, InferenceIds
from router_svc.domain.snapshot import Route
from router_svc.domain.units import UnitSource
from router_svc.handlers.enriching import Library

CLIENT_GONE: Final = 499  # nginx's number for a client that closed its connection
BROKEN_OFF: Final = 502
_NONCES_AT_ONCE: Final = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What may be asked, and what of an answer is put on record.

    Attributes:
        copy_bytes: Longer answers pass through but are not recorded with their text.
        event_bytes: Larger events lose their conversation: Kafka takes no larger records.
        prompt_likelihoods: Whether servers survive being asked for likelihoods of prompts.
        in_flight: Requests that are answered at once.
        waiting: Requests that may wait for one of those to end.
        wait_s: How long they may.
        shadows: Copies to shadows that are asked at once.
        shadow_bytes: Bytes of the requests of all of them together.
    """

    copy_bytes: int
    event_bytes: int
    prompt_likelihoods: bool = False
    in_flight: int = 512
    waiting: int = 0
    wait_s: float = 2.0
    shadows: int = 16
    shadow_bytes: int = 32 << 20


class Nonces:
    """Random bytes for ids, drawn from the system for many requests at once."""

    def __init__(self) -> None:
        self._drawn = b""
        self._place = 0

    def draw(self) -> bytes:
        if self._place >= len(self._drawn):
            self._drawn, self._place = secrets.token_bytes(NONCE_BYTES * _NONCES_AT_ONCE), 0
        self._place += NONCE_BYTES
        return self._drawn[self._place - NONCE_BYTES : self._place]


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """The parts that requests are answered with.

    Attributes:
        conceal: Puts a task's privacy to a conversation.
        library: Where similar cases are looked up; None if nowhere.
    """

    board: Board
    ids: InferenceIds
    upstream: Upstream
    spool: Spool
    limits: Limits
    nonces: Nonces
    tracing: Tracing
    unit_order: Sequence[UnitSource] = (UnitSource.USER, UnitSource.HEADER)
    conceal: Conceal
    library: Library | None = None

    def issue(self, route: Route, caller: Caller, unit_hash: str, started_ns: int) -> str:
        """A new inference's id."""
        ids = self.ids
        return ids.issue(
            route.origin,
            unit=bytes.fromhex(unit_hash),
            tenant_hash=ids.hash_tenant(caller.tenant),
            issued_ms=started_ns // 1_000_000,
            nonce=self.nonces.draw(),
        )

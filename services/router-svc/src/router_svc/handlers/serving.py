"""What answering needs, and what becomes of one request on its way."""

import secrets
import time
from dataclasses import dataclass, field

from router_svc.adapters.board import Board
from router_svc.adapters.spool import Spool
from router_svc.adapters.upstream import Upstream
from router_svc.domain.inference_ids import NONCE_BYTES, InferenceFacts, InferenceIds
from router_svc.domain.prompts import Prompt
from router_svc.domain.snapshot import Route, Target

CLIENT_GONE = 499  # nginx's number for a client that closed its connection
BROKEN_OFF = 502


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What may be asked, and what of an answer is put on record.

    Attributes:
        copy_bytes: Longer answers pass through but are not recorded with their text.
        event_bytes: Larger events lose their conversation: Kafka takes no larger records.
        prompt_likelihoods: Whether servers survive being asked for likelihoods of prompts.
    """

    copy_bytes: int
    event_bytes: int
    prompt_likelihoods: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """The parts that requests are answered with."""

    board: Board
    ids: InferenceIds
    upstream: Upstream
    spool: Spool
    limits: Limits


@dataclass(slots=True, kw_only=True)
class Exchange:
    """One request from routing to its event.

    Attributes:
        served: Who was asked last, and answered if anybody did.
        status: HTTP status of the answer once it is whole; CLIENT_GONE or BROKEN_OFF if it never was.
        copy: Bytes that the server sent.
        started: Monotonic seconds.
    """

    route: Route
    prompt: Prompt
    inference_id: str
    unit_hash: str
    served: Target
    started: float
    first_byte: float | None = None
    status: int = 500
    streamed: bool = False
    copy: list[bytes] = field(default_factory=list)
    copied_bytes: int = 0

    @property
    def fallback(self) -> bool:
        return self.served.variant_id != self.route.variant_id

    def keep(self, chunk: bytes, *, limit: int) -> None:
        """Copies a piece of the answer aside for its event."""
        if self.first_byte is None:
            self.first_byte = time.perf_counter()
        self.copied_bytes += len(chunk)
        if self.copied_bytes <= limit:
            self.copy.append(chunk)
        else:
            self.copy.clear()


def open_exchange(serving: Serving, route: Route, prompt: Prompt, *, unit: str) -> Exchange:
    """Gives a routed request its id."""
    unit_hash = serving.ids.hash_unit(unit)
    facts = InferenceFacts(
        task_id=route.task.task_id,
        task_version=route.task.version,
        experiment_id=route.experiment_id,
        variant_id=route.variant_id,
        unit_hash=unit_hash,
        issued_ms=time.time_ns() // 1_000_000,
    )
    return Exchange(
        route=route,
        prompt=prompt,
        inference_id=serving.ids.sign(facts, nonce=secrets.token_bytes(NONCE_BYTES)),
        unit_hash=unit_hash,
        served=route.targets[0],
        started=time.perf_counter(),
    )

"""router-svc: splits requests over variants, answers from models, tells the platform what was answered and rated."""

import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from loopwright.auth import TokenVerifier
from loopwright.contracts.registry import Party
from loopwright.service import Service
from loopwright.settings import CommonSettings
from router_svc.adapters.board import Board, SetAsideMarks
from router_svc.adapters.callers import Guard, GuardRules, KeysOnDisk
from router_svc.adapters.content_seals import ContentSeals
from router_svc.adapters.figures import SharedFigures
from router_svc.adapters.listening import Listeners
from router_svc.adapters.memory import tend_memory
from router_svc.adapters.snapshot_file import SnapshotFile
from router_svc.adapters.spool import Spool, SpoolLimits
from router_svc.adapters.tracing import Tracing
from router_svc.adapters.upstream import Upstream, UpstreamRules
from router_svc.api.analyses import AnalysisDesk, analysis_routes
from router_svc.api.assignments import assignment_routes
from router_svc.api.guarding import LimitOperators
from router_svc.api.models import model_routes
from router_svc.api.protocol import Door, DoorLimits
from router_svc.api.ratings import rating_routes
from router_svc.api.server import Server
from router_svc.api.snapshot import snapshot_routes
from router_svc.domain.breaking import BreakerRules
from router_svc.domain.inference_ids import InferenceIds
from router_svc.domain.units import unit_order
from router_svc.events import SnapshotReader
from router_svc.handlers.answering import Answering
from router_svc.handlers.concealing import Concealer
from router_svc.handlers.rating import RatingDesk
from router_svc.handlers.self_asking import SelfAsking
from router_svc.handlers.serving import Limits, Nonces, Serving
from router_svc.jobs.publishing import SpoolPublisher
from router_svc.jobs.workers import Post, Workers
from router_svc.settings import Settings

if TYPE_CHECKING:
    from router_svc.adapters.knowledge import Knowledge

_GRACE_S = 20.0  # beyond a service's own
_DAY_MS = 24 * 60 * 60 * 1000


def build(common: CommonSettings, settings: Settings, *, post: Post | None = None) -> Service:
    """Wires one worker; takes its spool folder at once, so build it once per process.

    Args:
        post: Its place among several workers.
    """
    service = Service(Party.ROUTER, common, database=None)
    ids = InferenceIds(_read_secret(settings.signing_key_file))
    board, upstream = Board(), Upstream(_upstream_rules(settings), clock=time.monotonic)
    spool_limits = SpoolLimits(segment_bytes=settings.spool_segment_bytes, total_bytes=settings.spool_limit_bytes)
    spool = Spool.claim(settings.spool_dir, limits=spool_limits)
    orphans = Spool.claim_orphans(settings.spool_dir, limits=spool_limits)
    library = _library(settings)
    traced = common.otlp_endpoint is not None or common.trace_dir is not None
    serving = Serving(
        board=board, ids=ids, upstream=upstream, spool=spool, limits=_limits(settings), nonces=Nonces(),
        tracing=Tracing(settings.trace_share_0_1 if traced else 0.0), unit_order=unit_order(settings.unit_order),
        conceal=Concealer(ContentSeals(common.storage_keys_file)), library=library,
    )  # fmt: skip
    desk = RatingDesk(ids=ids, spool=spool, max_age_ms=int(settings.rating_max_age_days * _DAY_MS))
    marks = SetAsideMarks(settings.spool_dir / "set-aside")
    kept = SnapshotFile(settings.spool_dir / "snapshot.jsonl")
    reader = SnapshotReader(common.kafka_bootstrap, board=board, spool=spool, marks=marks, kept=kept)
    publisher = SpoolPublisher(common.kafka_bootstrap, spool=spool, orphans=orphans)
    guard = _guard(settings, service)
    answering = Answering(serving)
    door = Door(answering, guard, _door_limits(settings))
    leaving = _stay if post is None else post.leave
    service.speak_by(door.connect, server=partial(Server, door=door, drain_s=settings.drain_s, leaving=leaving))
    service.prepare_by(reader.wait_until_loaded)
    service.add_routes(model_routes(board))
    service.add_routes(rating_routes(desk))
    service.add_routes(snapshot_routes(board, spool))
    service.add_routes(assignment_routes(board, ids))
    service.add_routes(analysis_routes(AnalysisDesk(asker=SelfAsking(answering), at_once=settings.analyses_at_once)))
    if post is not None:
        _join(service, post)  # what is added first ends last: figures are written when all that counts has ended
    service.add_background("snapshot", reader.run)
    service.add_background("publisher", publisher.run)
    service.add_background("upstream", upstream.run)
    service.add_background("door", door.run)
    service.add_background("memory", tend_memory)
    service.add_background("answering", answering.run)
    if library is not None:
        service.add_background("knowledge", library.run)
    service.add_probe("snapshot", reader.probe)
    service.add_probe("events", publisher.probe)
    return service


def _join(service: Service, post: Post) -> None:
    """Makes a worker one of several."""
    figures = SharedFigures(post.figures, number=post.number)
    service.measure_by(figures)
    service.add_background("figures", figures.run)
    service.add_background("parent", post.watch_parent)
    service.prepare_by(post.take)


def _stay() -> None:
    """A router of one process has nobody to tell that it ends."""


def _library(settings: Settings) -> "Knowledge | None":
    if settings.knowledge_url is None:
        return None
    from router_svc.adapters.knowledge import Knowledge  # noqa: PLC0415 - its HTTP client takes 6 MB

    return Knowledge(settings.knowledge_url, token_file=settings.knowledge_token_file)


def _read_secret(path: Path) -> bytes:
    secret = path.read_bytes()
    if len(secret) < 32:
        raise ValueError(f"{path} holds {len(secret)} bytes; a signing key has at least 32")
    return secret


def _upstream_rules(settings: Settings) -> UpstreamRules:
    return UpstreamRules(
        connect_s=settings.connect_timeout_s,
        first_byte_s=settings.first_byte_timeout_s,
        between_chunks_s=settings.between_chunks_timeout_s,
        check_every_s=settings.health_check_every_s,
        hedge_after_s=settings.hedge_after_s,
        breaker=BreakerRules(
            rest_s=settings.backend_rest_s, open_after=settings.breaker_failures, return_s=settings.backend_return_s
        ),
    )


def _limits(settings: Settings) -> Limits:
    return Limits(
        copy_bytes=settings.max_answer_copy_bytes, event_bytes=settings.max_event_bytes,
        prompt_likelihoods=settings.prompt_likelihoods, in_flight=settings.concurrency_limit,
        waiting=settings.queue_limit, wait_s=settings.queue_timeout_s, shadows=settings.shadows_in_flight,
        shadow_bytes=settings.shadow_bytes,
    )  # fmt: skip


def _door_limits(settings: Settings) -> DoorLimits:
    return DoorLimits(
        body_bytes=settings.max_body_bytes, request_s=settings.request_timeout_s, idle_s=settings.idle_timeout_s,
        stalled_s=settings.stalled_timeout_s,
    )  # fmt: skip


def _guard(settings: Settings, service: Service) -> Guard:
    verifier: TokenVerifier | None = getattr(service.app.state, "token_verifier", None)
    keys = None if settings.api_keys_file is None else KeysOnDisk(settings.api_keys_file)
    rules = GuardRules(
        required=settings.auth == "required",
        requests_per_min=settings.address_requests_per_min,
        admin_requests_per_min=settings.admin_requests_per_min,
        trusted_proxies=settings.trusted_proxies,
        unit_claim=settings.unit_claim,
        tenant_claim=settings.tenant_claim,
    )
    guard = Guard(rules, keys=keys, verifier=verifier)
    service.app.state.guard = guard
    service.app.add_middleware(LimitOperators, guard=guard)
    if keys is not None:
        service.add_probe("keys", keys.probe)
    return guard


def main() -> None:
    settings = Settings()  # pyright: ignore[reportCallIssue] - the environment brings what has no default
    common = CommonSettings()
    if settings.workers == 1:
        build(common, settings).run(port=settings.port)
        return
    listeners = Listeners(common.host, settings.port, count=settings.workers)
    with tempfile.TemporaryDirectory(prefix="router-figures-") as figures:
        grace_s = settings.drain_s + _GRACE_S
        Workers(listeners, _serve_worker, figures=Path(figures), grace_s=grace_s).run()


def _serve_worker(post: Post) -> None:
    """One of several processes on the port; its environment is its parent's."""
    settings = Settings()  # pyright: ignore[reportCallIssue] - the environment brings what has no default
    build(CommonSettings(), settings, post=post).run(port=settings.port, listening=post.listening)


if __name__ == "__main__":
    main()

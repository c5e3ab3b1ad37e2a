"""router-svc: splits requests over variants, answers from models, tells the platform what was answered and rated."""

from pathlib import Path

from loopwright.contracts.registry import Party
from loopwright.service import Service
from loopwright.settings import CommonSettings
from router_svc.adapters.board import Board, SetAsideMarks
from router_svc.adapters.spool import Spool, SpoolLimits
from router_svc.adapters.upstream import Upstream, UpstreamTimeouts
from router_svc.api.inferences import inference_routes
from router_svc.api.models import model_routes
from router_svc.api.ratings import rating_routes
from router_svc.api.snapshot import snapshot_routes
from router_svc.domain.inference_ids import InferenceIds
from router_svc.events import SnapshotReader
from router_svc.handlers.answering import Gate
from router_svc.handlers.rating import RatingDesk
from router_svc.handlers.serving import Limits, Serving
from router_svc.jobs import SpoolPublisher
from router_svc.settings import Settings

_DAY_MS = 24 * 60 * 60 * 1000


def build(common: CommonSettings, settings: Settings) -> Service:
    """Wires one worker; takes its spool folder at once, so build it once per process."""
    service = Service(Party.ROUTER, common, database=None)
    ids = InferenceIds(_read_secret(settings.signing_key_file))
    board, upstream = Board(), Upstream(_timeouts(settings))
    spool_limits = SpoolLimits(segment_bytes=settings.spool_segment_bytes, total_bytes=settings.spool_limit_bytes)
    spool = Spool.claim(settings.spool_dir, limits=spool_limits)
    orphans = Spool.claim_orphans(settings.spool_dir, limits=spool_limits)
    serving = Serving(board=board, ids=ids, upstream=upstream, spool=spool, limits=_limits(settings))
    desk = RatingDesk(ids=ids, spool=spool, max_age_ms=int(settings.rating_max_age_days * _DAY_MS))
    marks = SetAsideMarks(settings.spool_dir / "set-aside")
    reader = SnapshotReader(common.kafka_bootstrap, board=board, spool=spool, marks=marks)
    publisher = SpoolPublisher(common.kafka_bootstrap, spool=spool, orphans=orphans)
    gate = Gate(settings.concurrency_limit)
    # beside FastAPI's routers, not inside one: nothing of FastAPI runs on the request path
    service.app.router.routes.extend(inference_routes(serving, gate, max_body_bytes=settings.max_body_bytes))
    service.add_routes(model_routes(board))
    service.add_routes(rating_routes(desk))
    service.add_routes(snapshot_routes(board, spool))
    service.add_background("snapshot", reader.run)
    service.add_background("publisher", publisher.run)
    service.add_background("upstream", upstream.run)
    service.add_probe("snapshot", reader.probe)
    service.add_probe("events", publisher.probe)
    return service


def _read_secret(path: Path) -> bytes:
    secret = path.read_bytes()
    if len(secret) < 32:
        raise ValueError(f"{path} holds {len(secret)} bytes; a signing key has at least 32")
    return secret


def _timeouts(settings: Settings) -> UpstreamTimeouts:
    return UpstreamTimeouts(
        connect_s=settings.connect_timeout_s,
        first_byte_s=settings.first_byte_timeout_s,
        between_chunks_s=settings.between_chunks_timeout_s,
        rest_s=settings.backend_rest_s,
    )


def _limits(settings: Settings) -> Limits:
    return Limits(
        copy_bytes=settings.max_answer_copy_bytes, event_bytes=settings.max_event_bytes,
        prompt_likelihoods=settings.prompt_likelihoods,
    )  # fmt: skip


def main() -> None:
    settings = Settings()  # pyright: ignore[reportCallIssue] - the environment brings what has no default
    build(CommonSettings(), settings).run(port=settings.port)


if __name__ == "__main__":
    main()

"""How a service lives: one FastAPI app with health, metrics and problems, its relay, its consumers, its timers.

`main.py` of each service builds one `Service`, adds its doors and calls `run()`.
"""

import asyncio
import gc
import signal
import socket
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import structlog
import uvicorn
from fastapi import APIRouter, FastAPI, Response
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.registry import Collector
from pydantic import BaseModel
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from loopwright.auth import TokenVerifier
from loopwright.contracts.registry import Party
from loopwright.problems import install_problem_handlers
from loopwright.settings import CommonSettings
from loopwright.telemetry import HTTP_REQUESTS, HTTP_SECONDS, set_up_logging, set_up_tracing

if TYPE_CHECKING:
    from aiokafka.admin import AIOKafkaAdminClient
    from faststream.kafka import KafkaBroker  # noqa: TID251 - owns the broker on behalf of main

    from loopwright.broker import EventRouter
    from loopwright.database import Database

_log = structlog.get_logger()
_GRACE_S = 10
_BROKER_DELAY_S = 1  # between attempts to reach Kafka when a service starts
Probe = Callable[[], Awaitable[str | None]]
ProtocolFactory = Callable[..., asyncio.Protocol]
ServerFactory = Callable[[uvicorn.Config], uvicorn.Server]
Preparation = Callable[[], Awaitable[None]]


class Readiness(BaseModel):
    """Which parts a service can use now; a part that it cannot use comes with the reason."""

    ready: bool
    parts: dict[str, str]


@dataclass(frozen=True)
class _BackgroundTask:
    name: str
    body: Callable[[], Coroutine[object, object, None]]


class Service:
    """One service process.

    Args:
        party: Which service this is.
        database: None for router-svc, which owns nothing that must outlive it.
    """

    def __init__(self, party: Party, common: CommonSettings, *, database: "Database | None") -> None:
        self.party = party
        self.common = common
        self.database = database
        self._tasks: list[_BackgroundTask] = []
        self._probes: dict[str, Probe] = {}
        self._server: uvicorn.Server | None = None
        self._failure: BaseException | None = None
        self._broker: KafkaBroker | None = None
        self._admin: AIOKafkaAdminClient | None = None
        self._protocol: ProtocolFactory | None = None
        self._make_server: ServerFactory = uvicorn.Server
        self._preparations: list[Preparation] = []
        self._figures: Collector = REGISTRY
        self.app = self._build_app()
        if database is not None:
            from loopwright.relay import Relay  # noqa: PLC0415 - 30 MB that a service without a database does without

            self._probes["database"] = database.ping
            self.add_background("relay", Relay(database, common.kafka_bootstrap).run)

    def add_routes(self, router: APIRouter) -> None:
        self.app.include_router(router)

    def add_background(self, name: str, body: Callable[[], Coroutine[object, object, None]]) -> None:
        """Runs a coroutine for the service's whole life; the service ends if it does."""
        self._tasks.append(_BackgroundTask(name, body))

    def add_probe(self, name: str, probe: Probe) -> None:
        """A part that must answer before the service calls itself ready; the probe raises when it does not.

        It may return a note about a part that is away while the service does without it.
        """
        self._probes[name] = probe

    def speak_by(self, protocol: ProtocolFactory, *, server: ServerFactory) -> None:
        """Lets a protocol of the service's own answer connections.

        Args:
            protocol: Called as uvicorn calls its HTTP protocols; it may give requests on to the application.
            server: Makes the server that listens, and that ends its connections.
        """
        self._protocol = protocol
        self._make_server = server

    def prepare_by(self, preparation: Preparation) -> None:
        """Has something done, in order, before the service listens; what runs in the background runs already."""
        self._preparations.append(preparation)

    def measure_by(self, figures: Collector) -> None:
        """Shows other figures on /metrics than this process's own."""
        self._figures = figures

    def add_events(self, router: "EventRouter") -> None:
        """Subscribes a service's event handlers."""
        from faststream.kafka import KafkaBroker  # noqa: PLC0415, TID251 - as above; owns the broker on behalf of main

        from loopwright.broker import Consumer, RetryPolicy  # noqa: PLC0415 - as above

        assert self.database is not None, "consumers need an inbox"
        common = self.common
        policy = RetryPolicy(
            attempts=common.retry_attempts,
            first_delay_s=common.retry_first_delay_s,
            dead_letter_limit=common.dead_letter_limit,
        )
        broker = KafkaBroker(
            common.kafka_bootstrap, client_id=str(self.party), graceful_timeout=_GRACE_S, logger=None,
            allow_auto_create_topics=False, consumer_only=True,
        )  # fmt: skip
        consumer = Consumer(self.party, self.database, policy=policy, on_stop=self.fail)
        for subscription in router.subscriptions:
            consumer.subscribe(broker, subscription)
        self._broker = broker
        self._probes["kafka"] = self._probe_broker
        self.add_background("consumers", self._consume)

    def fail(self, error: BaseException) -> None:
        """Ends the process with an error; whoever runs services starts it again."""
        if self._failure is None:
            self._failure = error
            _log.error("service.failed", service=str(self.party), reason=repr(error))
        if self._server is not None:
            self._server.should_exit = True

    @property
    def is_stopping(self) -> bool:
        """Whether it was asked to end; answers that have no end of their own end by it."""
        return self._server is not None and self._server.should_exit

    def make_server(self, *, port: int) -> uvicorn.Server:
        """The server that listens for this service."""
        return self._make_server(
            uvicorn.Config(
                self.app, host=self.common.host, port=port, log_config=None, access_log=False, loop="uvloop",
                http=cast("type[asyncio.Protocol]", self._protocol or "auto"), timeout_graceful_shutdown=_GRACE_S,
            )
        )  # fmt: skip

    def run(self, *, port: int, listening: socket.socket | None = None) -> None:
        """Serves until a signal or a failure; exits with 1 after a failure.

        Args:
            listening: Bound already, to the port, by whoever started this process.
        """
        common = self.common
        set_up_logging(common.log_level)
        tracing = set_up_tracing(str(self.party), otlp_endpoint=common.otlp_endpoint, trace_dir=common.trace_dir)
        self._server = self.make_server(port=port)
        for number in (signal.SIGINT, signal.SIGTERM):
            # once it has shut down, uvicorn raises the signal again for whoever listened before: that must not kill
            signal.signal(number, _ignore_signal)
        _log.info("service.starts", service=str(self.party), port=port)
        self._server.run(sockets=None if listening is None else [listening])
        tracing.shutdown()
        if self._failure is not None or not self._server.started:
            sys.exit(1)

    def _build_app(self) -> FastAPI:
        app = FastAPI(title=f"Loopwright {self.party}", version="1", lifespan=self._lifespan)
        common = self.common
        if common.auth_jwks_file is not None:
            app.state.token_verifier = TokenVerifier.from_file(
                common.auth_jwks_file, issuer=common.auth_issuer, audience=common.auth_audience
            )
        install_problem_handlers(app)
        app.add_middleware(_CountRequests)
        app.add_api_route("/health", self._health, methods=["GET"], include_in_schema=True)
        unready: dict[int | str, dict[str, object]] = {503: {"model": Readiness, "description": "a part is away"}}
        app.add_api_route("/ready", self._ready, methods=["GET"], response_model=Readiness, responses=unready)
        app.add_api_route("/metrics", self._metrics, methods=["GET"], include_in_schema=False)
        return app

    @asynccontextmanager
    async def _lifespan(self, _app: FastAPI) -> AsyncGenerator[None]:
        running = [asyncio.create_task(self._supervise(task), name=task.name) for task in self._tasks]
        try:
            for prepare in self._preparations:
                await prepare()
            if self._server is not None:  # this process is the service's own
                gc.collect()
                gc.freeze()  # a look at all that the start left behind takes 0.3 s, in the midst of a request
            yield
        finally:
            for task in reversed(running):
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
            if self.database is not None:
                await self.database.close()

    async def _supervise(self, task: _BackgroundTask) -> None:
        try:
            await task.body()
        except Exception as error:  # noqa: BLE001 - whatever ends a background task ends the service, visibly
            self.fail(error)
        else:
            self.fail(RuntimeError(f"{task.name} ended"))

    async def _consume(self) -> None:
        from aiokafka.admin import AIOKafkaAdminClient  # noqa: PLC0415 - only who consumes needs it
        from aiokafka.errors import KafkaError  # noqa: PLC0415

        assert self._broker is not None
        admin: AIOKafkaAdminClient | None = None
        try:
            while self._admin is None:
                admin = AIOKafkaAdminClient(bootstrap_servers=self.common.kafka_bootstrap, client_id=str(self.party))
                try:
                    await admin.start()  # first: subscribers that fail half-way through their start are not tidy
                    await self._broker.start()
                    self._admin = admin
                except (KafkaError, OSError) as error:
                    _log.warning("broker.waits", reason=repr(error))
                    await admin.close()
                    await self._broker.stop()
                    await asyncio.sleep(_BROKER_DELAY_S)
            await asyncio.Event().wait()
        finally:
            await asyncio.wait_for(self._broker.stop(), _GRACE_S)
            if admin is not None:
                await admin.close()

    async def _probe_broker(self) -> None:
        if self._admin is None:
            raise ConnectionError("not consuming yet")
        await self._admin.describe_cluster()

    async def _health(self) -> dict[str, str]:
        return {"service": str(self.party), "status": "alive"}

    async def _ready(self, response: Response) -> Readiness:
        parts: dict[str, str] = {}
        ready = self._failure is None
        for name, probe in self._probes.items():
            try:
                parts[name] = (await asyncio.wait_for(probe(), 3) or "ok")[:200]
            except Exception as error:  # noqa: BLE001 - a probe fails in whatever way its part fails
                parts[name] = f"{type(error).__name__}: {error}"[:200]
                ready = False
        response.status_code = 200 if ready else 503
        return Readiness(ready=ready, parts=parts)

    async def _metrics(self) -> Response:
        # a registry is asked for nothing but what a collector has
        text = generate_latest(cast("CollectorRegistry", self._figures))
        return Response(text, media_type=CONTENT_TYPE_LATEST)


def _ignore_signal(_number: int, _frame: object) -> None:
    pass


class _CountRequests:
    """Counts requests by route template, never by raw path: that would be unbounded."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), 500

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watch)
        finally:
            route = getattr(scope.get("route"), "path", "unmatched")
            HTTP_REQUESTS.labels(scope["method"], route, status).inc()
            HTTP_SECONDS.labels(scope["method"], route).observe(time.perf_counter() - started)

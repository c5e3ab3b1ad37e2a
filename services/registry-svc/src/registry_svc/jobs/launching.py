"""Keeps the vLLM servers of whole models running: started, watched, started again later and later, and stopped."""

import asyncio
import time
from dataclasses import replace
from datetime import UTC, datetime

import structlog

from loopwright.errors import ContractError, DependencyError, RuleRefused, ServingUnavailable
from registry_svc.adapters.vllm_processes import ProcessMark, VllmProcesses
from registry_svc.domain.launching import LaunchTemplates, ModelServer, ServerState, restart_delay
from registry_svc.domain.models import ModelVersion
from registry_svc.handlers.model_servers import dismiss_server, keep_server, remove_server, servers_to_keep
from registry_svc.handlers.room import Means
from registry_svc.store.wanted import wanted_variants

_log = structlog.get_logger()


class ServerKeeper:
    """Looks at every server once a step.

    Args:
        grace_s: Seconds that a server stays after the router asked for it last.
    """

    def __init__(self, means: Means, *, processes: VllmProcesses, templates: LaunchTemplates, grace_s: float) -> None:
        self._means = means
        self._processes = processes
        self._templates = templates
        self._grace_s = grace_s
        self._unneeded_since: dict[str, float] = {}

    async def step(self) -> bool:
        """One look."""
        async with self._means.work() as unit:
            servers = await servers_to_keep(unit)
            wanted = await wanted_variants(unit.session)
        for server, model in servers:
            if server.wanted and server.variant not in wanted:
                await self._dismiss(server)
            else:
                self._unneeded_since.pop(server.served_name, None)
                await (self._keep(server, model) if server.wanted else self._stop(server))
        return False

    async def _keep(self, server: ModelServer, model: ModelVersion) -> None:
        mark = await self._running(server)
        if mark is None:
            await self._start(server, model)
        elif (server.pid, server.process_start) != (mark.pid, mark.start):
            await self._save(replace(server, pid=mark.pid, process_start=mark.start, state=ServerState.STARTING))
        elif await self._processes.is_healthy(server.url):
            if server.state is not ServerState.READY:
                _log.info("model-server.ready", server=server.served_name, url=server.url)
                await self._save(replace(server, state=ServerState.READY, failures=0, reason=None))
        elif server.state is ServerState.READY:
            _log.warning("model-server.unwell", server=server.served_name, url=server.url)
            await self._save(replace(server, state=ServerState.STARTING, reason="it stopped to answer"))

    async def _running(self, server: ModelServer) -> ProcessMark | None:
        """Its process: the one that we wrote down, or one of which a crash kept us from writing."""
        if server.pid is not None:
            mark = ProcessMark(server.pid, server.process_start or "")
            if self._processes.is_running(mark):
                return mark
        return await asyncio.to_thread(self._processes.find, _marker(server))

    async def _start(self, server: ModelServer, model: ModelVersion) -> None:
        now = datetime.now(UTC)
        if server.pid is not None:  # it ran and is gone
            failures = server.failures + 1
            said = self._processes.last_words(server.served_name) or "nothing"
            _log.error("model-server.died", server=server.served_name, failures=failures, last_words=said)
            ended = replace(
                server, pid=None, process_start=None, state=ServerState.WAITING, failures=failures,
                reason=f"its process ended, saying last: {said}", due_at=now + restart_delay(failures),
            )  # fmt: skip
            await self._save(ended)
        elif server.due_at <= now:
            await self._launch(server, model)

    async def _launch(self, server: ModelServer, model: ModelVersion) -> None:
        try:
            weights = await self._means.serving.weights_of(model)
            command = (
                *self._templates.command, *self._templates.arguments(model, weights=weights, port=server.port)
            )  # fmt: skip
            mark = self._processes.start(server.served_name, command, marker=_marker(server))
        except (DependencyError, RuleRefused, ContractError, OSError) as error:
            failures = server.failures + 1
            reason = f"it cannot be started: {error}"[:1000]
            _log.error("model-server.not-started", server=server.served_name, reason=reason)
            due_at = datetime.now(UTC) + restart_delay(failures)
            await self._save(replace(server, failures=failures, reason=reason, due_at=due_at))
            return
        _log.info("model-server.started", server=server.served_name, pid=mark.pid, url=server.url)
        started = replace(server, pid=mark.pid, process_start=mark.start, state=ServerState.STARTING)
        await self._save(replace(started, reason="it is starting"))

    async def _dismiss(self, server: ModelServer) -> None:
        """Nothing names its version any more; it stays until the router asks for it no more, and a while longer."""
        try:
            routed = str(server.variant) in await self._means.figures.routed_variants()
        except ServingUnavailable as error:
            _log.info("model-server.stays", server=server.served_name, reason=error.detail)
            return
        now = time.monotonic()
        if routed:
            self._unneeded_since.pop(server.served_name, None)
        elif now - self._unneeded_since.setdefault(server.served_name, now) >= self._grace_s:
            async with self._means.work() as unit:
                await dismiss_server(server, unit)

    async def _stop(self, server: ModelServer) -> None:
        mark = await self._running(server)
        if mark is not None:
            await self._processes.stop(mark)
        _log.info("model-server.stopped", server=server.served_name)
        async with self._means.work() as unit:
            await remove_server(server, unit)

    async def _save(self, server: ModelServer) -> None:
        async with self._means.work() as unit:
            await keep_server(server, unit)


def _marker(server: ModelServer) -> str:
    return f"{server.served_name}@{server.port}"

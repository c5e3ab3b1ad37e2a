"""Keeps vLLM servers as our rows say: adapters loaded again where they were lost, unloaded where nothing needs them."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import structlog

from loopwright.errors import ContractError, RuleRefused, ServingUnavailable, StoreUnavailable
from loopwright.unit_of_work import WorkFactory
from registry_svc.adapters.router_figures import RouterFigures
from registry_svc.adapters.serving import Serving
from registry_svc.domain.launching import is_adapter, is_whole
from registry_svc.domain.models import ModelVersion, VariantId
from registry_svc.domain.releases import retry_delay
from registry_svc.domain.replicas import LoadedModel, Replica, leaving
from registry_svc.handlers.deployments import refresh_backends
from registry_svc.handlers.reconciliation import WantedServing, keep_replicas, needed_names, wanted_serving
from registry_svc.handlers.unloading import unload_unwanted

_log = structlog.get_logger()
_Place = tuple[str, str]  # address of a server, name of a model


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How patient the reconciler is.

    Attributes:
        grace_s: Seconds that an adapter stays after the router's last mention of it: answers in flight end in peace.
        probe_s: Seconds between two probes of one model on one server.
    """

    grace_s: float
    probe_s: float


@dataclass
class _Setback:
    """A load that was refused: it is tried again later and later."""

    failures: int
    until: float


class ServingReconciler:
    """Looks at every server once a step, and mends what differs."""

    def __init__(self, work: WorkFactory, *, serving: Serving, figures: RouterFigures, pace: Pace) -> None:
        self._work = work
        self._serving = serving
        self._figures = figures
        self._pace = pace
        self._away: set[str] = set()
        self._setbacks: dict[_Place, _Setback] = {}
        self._unneeded_since: dict[_Place, float] = {}
        self._probed: dict[_Place, LoadedModel] = {}

    async def step(self) -> bool:
        """One look. A server that does not answer is left for the next one."""
        async with self._work() as unit:
            wanted = await wanted_serving(unit)
        await asyncio.gather(*(self._restore_at(url, wanted) for url in self._serving.servers.urls))
        for serving in wanted:
            await self._refresh(serving)
        async with self._work() as unit:
            names = await needed_names(unit)
        replicas = await asyncio.gather(*(self._look(url, names) for url in self._serving.servers.urls))
        await self._unload_unneeded(replicas, names)
        async with self._work() as unit:
            await keep_replicas(replicas, unit)
        return False

    async def _restore_at(self, url: str, wanted: Sequence[WantedServing]) -> None:
        due = [model for one in wanted if url in one.deployment.backend_urls for model in one.models]
        try:
            loaded = {model.id: model.root for model in await self._serving.servers.models(url)}
            for model in due:
                if not self._is_loaded(model, loaded):
                    await self._restore(url, model)
            if url in self._away:
                self._away.discard(url)
                self._serving.servers.forget_capacity(url)
                _log.info("vllm.back", server=url)
        except ServingUnavailable as error:
            if url not in self._away:
                _log.warning("vllm.away", server=url, reason=error.detail)
            self._away.add(url)

    def _is_loaded(self, model: ModelVersion, loaded: Mapping[str, str | None]) -> bool:
        if model.artifact is None or not is_adapter(model):
            return True  # base models are started with their server, whole ones have one of their own
        return loaded.get(model.served_name) == str(self._serving.files.folder_of(model.artifact))

    async def _restore(self, url: str, model: ModelVersion) -> None:
        place = (url, model.served_name)
        setback = self._setbacks.get(place)
        if setback is not None and setback.until > time.monotonic():
            return
        try:
            if await self._serving.restore(url, model):
                _log.warning("adapter.restored", variant=str(model.variant), server=url)
            self._setbacks.pop(place, None)
        except (RuleRefused, ContractError, StoreUnavailable) as error:
            failures = 1 if setback is None else setback.failures + 1
            delay_s = retry_delay(failures).total_seconds()
            self._setbacks[place] = _Setback(failures, time.monotonic() + delay_s)
            _log.error("adapter.not-restored", variant=str(model.variant), server=url, reason=error.detail)

    async def _refresh(self, wanted: WantedServing) -> None:
        deployment = wanted.deployment
        try:
            backend_urls = await self._serving.servers.backends_of(wanted.models[0].base_model)
            if set(backend_urls) == set(deployment.backend_urls):
                return
            for model in wanted.models:
                if not is_whole(model):
                    await self._serving.ensure_served(model)
        except ServingUnavailable:
            return  # said by _restore_at
        except (RuleRefused, ContractError) as error:
            _log.error("backends.not-refreshed", task_id=deployment.task_id, reason=error.detail)
            return
        async with self._work() as unit:
            await refresh_backends(deployment.task_id, unit, backend_urls=backend_urls)

    async def _look(self, url: str, wanted: AbstractSet[str]) -> Replica:
        """A server as it is now, with every wanted model probed that was not for a while."""
        now = datetime.now(UTC)
        try:
            listed = await self._serving.servers.models(url)
            models = [
                LoadedModel(name=one.id, adapter=one.parent is not None, ours=self._serving.is_ours(one.root))
                for one in listed
            ]
            probed = tuple([await self._probe(url, one) if one.name in wanted else one for one in models])
            capacity, source = await self._serving.capacity(url)
        except ServingUnavailable as error:
            return Replica(
                url=url, problem=error.detail, models=(), capacity=None, capacity_source="unknown", seen_at=now
            )
        return Replica(url=url, problem=None, models=probed, capacity=capacity, capacity_source=source, seen_at=now)

    async def _probe(self, url: str, model: LoadedModel) -> LoadedModel:
        place, now = (url, model.name), datetime.now(UTC)
        last = self._probed.get(place)
        if last is not None and last.probed_at is not None and last.ours == model.ours:
            rested = now - last.probed_at >= timedelta(seconds=self._pace.probe_s)
            if not rested and last.probe_problem is None:
                return last
        try:
            took_ms = await self._serving.servers.probe(url, model.name)
            probed = replace(model, probed_at=now, probe_ms=took_ms)
        except RuleRefused as error:
            _log.error("model.does-not-answer", server=url, model=model.name, reason=error.detail)
            probed = replace(model, probed_at=now, probe_problem=error.detail)
        self._probed[place] = probed
        return probed

    async def _unload_unneeded(self, replicas: Sequence[Replica], wanted: AbstractSet[str]) -> None:
        unneeded = {(one.url, model.name) for one in replicas for model in leaving(one, wanted)}
        # a server that is away may come back with them
        self._unneeded_since = {place: since for place, since in self._unneeded_since.items() if place in unneeded}
        if not unneeded:
            return
        try:
            routed = await self._figures.routed_variants()
        except ServingUnavailable as error:
            _log.info("unloading.waits", reason=error.detail)
            return
        now = time.monotonic()
        for url, name in unneeded:
            variant = variant_named(name)
            if variant is None or str(variant) in routed:
                self._unneeded_since.pop((url, name), None)
            elif now - self._unneeded_since.setdefault((url, name), now) >= self._pace.grace_s:
                await self._unload(url, variant, name=name)

    async def _unload(self, url: str, variant: VariantId, *, name: str) -> None:
        try:
            if await unload_unwanted(url, variant, work=self._work, serving=self._serving, name=name):
                _log.info("adapter.unloaded", variant=str(variant), server=url)
        except ServingUnavailable as error:
            _log.warning("adapter.not-unloaded", variant=str(variant), server=url, reason=error.detail)
        self._unneeded_since.pop((url, name), None)


def variant_named(served_name: str) -> VariantId | None:
    """The version behind a name that vLLM knows; None if the name is none of ours."""
    name, dash, version = served_name.rpartition("-v")
    return VariantId(name, int(version)) if dash and name and version.isdecimal() else None

"""Deployments for readers: what should serve, what the servers really have, and how that came about."""

from datetime import datetime

from pydantic import Field

from loopwright.pages import Page, Window
from loopwright.unit_of_work import Work
from registry_svc.domain.deployments import Deployment
from registry_svc.domain.launching import ServerState, is_whole
from registry_svc.domain.replicas import Replica, drift
from registry_svc.queries.pages import View, page_of
from registry_svc.store.deployments import get_deployment, page_changes, page_deployments
from registry_svc.store.model_servers import list_servers
from registry_svc.store.models import list_variants
from registry_svc.store.replicas import list_replicas
from registry_svc.store.wanted import wanted_names
from registry_svc.store.watches import WatchState, find_watch


class LoadedModelView(View):
    """One model that a vLLM server lists."""

    name: str
    adapter: bool = Field(description="a LoRA adapter; a base model otherwise")
    ours: bool = Field(description="loaded by registry-svc; what is not is left alone")
    probed_at: datetime | None = Field(description="when it last had to write a token; none before that")
    probe_ms: float | None = Field(description="how long that took; none if it failed")
    probe_problem: str | None = Field(description="why it failed; none if it did not")


class ReplicaView(View):
    """One vLLM server of a task, as it was seen last."""

    url: str
    answers: bool
    models: tuple[LoadedModelView, ...]
    adapters: int = Field(description="how many are loaded")
    capacity: int | None = Field(description="most adapters at once; none if nobody says")
    capacity_source: str = Field(description="setting, metrics (of the server) or unknown")
    drift: tuple[str, ...] = Field(description="how it differs from what the deployments want, a sentence each")
    seen_at: datetime


class WatchView(View):
    """The watch over the last promotion."""

    champion: str
    state: WatchState
    reason: str
    started_at: datetime
    ends_at: datetime


class ModelServerView(View):
    """A vLLM that was started for one whole model."""

    served_name: str
    url: str
    state: ServerState
    failures: int = Field(description="starts in a row that led to no answer")
    reason: str | None = Field(description="why it does not answer yet")


class DeploymentChangeView(View):
    """One state of what serves a task."""

    task_id: str
    revision: int = Field(description="rises by one with every change; changes name the one that they were made on")
    champion: str = Field(description="variant in charge")
    candidates: tuple[str, ...] = Field(description="variants loaded beside it")
    backend_urls: tuple[str, ...] = Field(description="vLLM servers that answer for them")
    reason: str = Field(description="why it became so")
    changed_at: datetime
    changed_by: str


class DeploymentView(DeploymentChangeView):
    """What serves a task now, and what its servers really have."""

    wanted: tuple[str, ...] = Field(description="names that each of its servers should answer for")
    replicas: tuple[ReplicaView, ...] = Field(description="its servers; those that were not looked at yet are missing")
    own_servers: tuple[ModelServerView, ...] = Field(description="vLLM servers of those variants that are whole models")
    watch: WatchView | None = Field(description="over the last promotion; none before the first one")


def view_change(deployment: Deployment) -> DeploymentChangeView:
    return DeploymentChangeView.model_validate(_fields(deployment))


async def list_deployments(work: Work, window: Window) -> Page[DeploymentView]:
    paged = await page_deployments(work.session, window)
    views = {one.task_id: await _view(one, work) for one in paged.items}
    return page_of(paged, window, lambda one: views[one.task_id])


async def read_deployment(work: Work, task_id: str) -> DeploymentView:
    """The deployment of a task.

    Raises:
        NotFound: nothing serves it.
    """
    return await _view(await get_deployment(work.session, task_id), work)


async def read_deployment_history(work: Work, task_id: str, window: Window) -> Page[DeploymentChangeView]:
    """Every state of a task's deployment, newest first.

    Raises:
        NotFound: nothing has ever served it.
    """
    await get_deployment(work.session, task_id)
    return page_of(await page_changes(work.session, task_id, window), window, view_change)


async def _view(deployment: Deployment, work: Work) -> DeploymentView:
    models = await list_variants(work.session, deployment.variants)
    wanted = tuple(models[variant].served_name for variant in deployment.variants if not is_whole(models[variant]))
    anywhere = await wanted_names(work.session)
    replicas = [one for one in await list_replicas(work.session) if one.url in deployment.backend_urls]
    servers = await list_servers(work.session)
    watch = await find_watch(work.session, deployment.task_id)
    return DeploymentView(
        **_fields(deployment),  # pyright: ignore[reportArgumentType] - the fields of the view above
        wanted=wanted,
        replicas=tuple(_view_replica(one, drift(one, wanted=wanted, wanted_anywhere=anywhere)) for one in replicas),
        own_servers=tuple(ModelServerView.model_validate(one) for one in servers if one.variant in deployment.variants),
        watch=watch and WatchView.model_validate(
            {"champion": str(watch.champion), "state": watch.state, "reason": watch.reason,
             "started_at": watch.started_at, "ends_at": watch.ends_at}
        ),
    )  # fmt: skip


def _view_replica(replica: Replica, drifts: tuple[str, ...]) -> ReplicaView:
    return ReplicaView(
        url=replica.url,
        answers=replica.problem is None,
        models=tuple(LoadedModelView.model_validate(model) for model in replica.models),
        adapters=len(replica.adapters),
        capacity=replica.capacity,
        capacity_source=replica.capacity_source,
        drift=drifts,
        seen_at=replica.seen_at,
    )


def _fields(deployment: Deployment) -> dict[str, object]:
    return {
        "task_id": deployment.task_id,
        "revision": deployment.revision,
        "champion": str(deployment.champion),
        "candidates": tuple(str(variant) for variant in deployment.candidates),
        "backend_urls": deployment.backend_urls,
        "reason": deployment.reason,
        "changed_at": deployment.changed_at,
        "changed_by": deployment.changed_by,
    }

"""Brings a version onto every server of its base model, and makes room where a server is full."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from loopwright.errors import Conflict, ServingUnavailable
from loopwright.unit_of_work import Work, WorkFactory
from registry_svc.adapters.router_figures import RouterFigures
from registry_svc.adapters.serving import ServerFull, Serving
from registry_svc.domain.capacity import Standby, least_used
from registry_svc.domain.deployments import Deployment
from registry_svc.domain.launching import ServerState, is_adapter, is_whole
from registry_svc.domain.models import ModelVersion, VariantId
from registry_svc.domain.releases import WORKED_ON, ReleaseState
from registry_svc.domain.replicas import leaving
from registry_svc.handlers.deployments import SERVICE, change_deployment
from registry_svc.handlers.model_servers import LaunchLimits, want_server
from registry_svc.store.deployments import get_deployment, list_changes_with, list_deployments
from registry_svc.store.models import list_variants
from registry_svc.store.releases import find_release_of
from registry_svc.store.replicas import hold, list_replicas, lock_adapter
from registry_svc.store.wanted import wanted_names

_HOLD = timedelta(minutes=5)  # longer than loading an adapter into every server takes
_UNDER_WAY = frozenset({*WORKED_ON, ReleaseState.ON_TRIAL})


@dataclass(frozen=True, kw_only=True)
class Means:
    """What bringing a version up needs.

    Attributes:
        limits: Room for whole models; None where no vLLM is started for one.
    """

    work: WorkFactory
    serving: Serving
    figures: RouterFigures
    limits: LaunchLimits | None = None


async def hold_adapter(variant: VariantId, work: Work) -> None:
    """Keeps an adapter from being unloaded while somebody is about to deploy it."""
    await lock_adapter(work.session, variant)
    await hold(work.session, variant, until=datetime.now(UTC) + _HOLD)


async def bring_up(model: ModelVersion, means: Means) -> tuple[str, ...]:
    """Has every server of the base model answer for a version, or one of its own for a whole model; in no transaction.

    Returns:
        The servers of the base model.

    Raises:
        ServerFull: a server is full, and everything in it is in charge or on its way to a verdict.
        ServingUnavailable: a server does not answer, or room is being made: the same request succeeds a little later.
        StoreUnavailable: storage cannot be reached.
        AdapterRefused: a server does not take the adapter, or does not answer for it.
        InvalidPayload: the adapter's files are not what they should be.
    """
    if is_whole(model):
        return await _bring_up_whole(model, means)
    try:
        return await means.serving.ensure_served(model)
    except ServerFull as full:
        uses = await means.figures.answers_by_variant()
        async with means.work() as unit:
            who = await _make_room(full.url, model, unit, uses=uses)
        if who is None:
            raise
        raise ServingUnavailable(
            "serving.making-room", f"{full.url} is full; {who} leaves it to make room for {model.variant}"
        ) from full


async def _bring_up_whole(model: ModelVersion, means: Means) -> tuple[str, ...]:
    if means.limits is None:
        raise Conflict("serving.no-launcher", f"{model.variant} is a whole model, and no vLLM is started for one here")
    backend_urls = await means.serving.servers.backends_of(model.base_model)
    async with means.work() as unit:
        server = await want_server(model, unit, limits=means.limits)
    if server.state is not ServerState.READY:
        said = f"{server.state}, {server.failures} failures: {server.reason}"
        raise ServingUnavailable("serving.starting", f"the vLLM of {model.variant} at {server.url} is {said}")
    await means.serving.servers.probe(server.url, model.served_name)
    return backend_urls


async def _make_room(url: str, model: ModelVersion, work: Work, *, uses: dict[str, int] | None) -> str | None:
    """Who leaves, or has begun to leave already; None if nobody can."""
    names = await wanted_names(work.session)
    seen = next((one for one in await list_replicas(work.session) if one.url == url), None)
    gone = leaving(seen, names) if seen is not None else ()
    if gone:
        return gone[0].name
    chosen = least_used(await _standing_by(url, model, work, uses=uses))
    if chosen is None:
        return None
    deployment = await get_deployment(work.session, chosen.task_id, lock=True)
    if chosen.variant in deployment.candidates:
        counted = "last deployed" if chosen.uses is None else f"{chosen.uses} answers, last deployed"
        reason = (
            f"{chosen.variant} made room for {model.variant}: least used ({counted} {chosen.deployed_at:%F %T} UTC)"
        )
        await change_deployment(deployment.without_candidate(chosen.variant), work, reason=reason, by=SERVICE)
    return str(chosen.variant)


async def _standing_by(url: str, model: ModelVersion, work: Work, *, uses: dict[str, int] | None) -> list[Standby]:
    deployments = [one for one in await list_deployments(work.session) if url in one.backend_urls]
    in_use = {one.champion for one in deployments} | {model.variant}
    found: list[Standby] = []
    for deployment in deployments:
        models = await list_variants(work.session, deployment.candidates)
        for variant in deployment.candidates:
            if variant in in_use or not is_adapter(models[variant]) or await _under_way(variant, work):
                continue
            found.append(
                Standby(
                    task_id=deployment.task_id,
                    variant=variant,
                    uses=None if uses is None else uses.get(str(variant), 0),
                    deployed_at=await _deployed_at(variant, deployment, work),
                )
            )
    return found


async def _under_way(variant: VariantId, work: Work) -> bool:
    release = await find_release_of(work.session, variant)
    return release is not None and release.state in _UNDER_WAY


async def _deployed_at(variant: VariantId, deployment: Deployment, work: Work) -> datetime:
    """When a candidate last came into a deployment: the oldest change since which it has been in without a break."""
    changes = [one for one in await list_changes_with(work.session, variant) if one.task_id == deployment.task_id]
    came, revision = deployment.changed_at, deployment.revision
    for change in changes:  # newest first
        if change.revision < revision - 1:
            break
        came, revision = change.changed_at, change.revision
    return came

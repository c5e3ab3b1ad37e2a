"""Changes of what serves a task. Every one is a new revision, a line of history and a `deployment.changed`."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime

from loopwright.contracts.deployments import DeployedVariant, DeploymentChanged, Variant
from loopwright.contracts.tasks import GenerationParameters
from loopwright.unit_of_work import Work
from registry_svc.domain.deployments import Deployment
from registry_svc.domain.models import BASE_VERSION, ModelStatus, ModelVersion, VariantId
from registry_svc.domain.releases import WORKED_ON, ReleaseState
from registry_svc.handlers.uses import change_status, log_deployment_change
from registry_svc.store.deployments import find_deployment, list_deployments, save_deployment
from registry_svc.store.model_servers import urls_by_variant
from registry_svc.store.models import list_variants
from registry_svc.store.releases import find_release_of, save_release
from registry_svc.store.replicas import let_go
from registry_svc.store.tasks import get_task

SERVICE = "registry-svc"


async def deploy_base(task_id: str, work: Work, *, backend_urls: tuple[str, ...]) -> None:
    """Puts the base model in charge of a task that nothing serves yet."""
    task = await get_task(work.session, task_id)
    if await find_deployment(work.session, task_id, lock=True) is not None:
        return
    base = VariantId(task.pack.base_model, BASE_VERSION)
    reason = "the base model is served and nothing better is known"
    await change_status(base, work, ModelStatus.PRODUCTION, reason=reason, by=SERVICE)
    first = Deployment(
        task_id=task_id, revision=1, champion=base, candidates=(), backend_urls=backend_urls,
        reason="", changed_at=datetime.now(UTC), changed_by="",
    )  # fmt: skip
    await change_deployment(first, work, reason=reason, by=SERVICE)


async def refresh_backends(task_id: str, work: Work, *, backend_urls: tuple[str, ...]) -> None:
    """Says where the task is served after vLLM servers came or went."""
    deployment = await find_deployment(work.session, task_id, lock=True)
    if deployment is None or set(deployment.backend_urls) == set(backend_urls):
        return
    await change_deployment(deployment.with_backends(backend_urls), work, reason="the vLLM servers changed", by=SERVICE)


async def change_deployment(deployment: Deployment, work: Work, *, reason: str, by: str) -> None:
    """Saves a new revision and says so. The caller holds the lock on the deployment."""
    changed = replace(deployment, reason=reason, changed_at=datetime.now(UTC), changed_by=by)
    await log_deployment_change(await find_deployment(work.session, changed.task_id), changed, work)
    await save_deployment(work.session, changed)
    await let_go(work.session, changed.variants)
    models = await list_variants(work.session, changed.variants)
    generation = (await get_task(work.session, changed.task_id)).pack.generation
    own_servers = await urls_by_variant(work.session)
    work.announce(deployment_changed(changed, models, generation, own_servers=own_servers))


def deployment_changed(
    deployment: Deployment, models: Mapping[VariantId, ModelVersion], generation: GenerationParameters, *,
    own_servers: Mapping[VariantId, str],
) -> DeploymentChanged:  # fmt: skip
    """The fact that a deployment is what it is.

    Args:
        own_servers: Addresses of whole models that a vLLM of their own serves.
    """

    def deployed(variant: VariantId) -> DeployedVariant:
        served = variant_of(models[variant], deployment.task_id, generation)
        own = own_servers.get(variant)
        return DeployedVariant(variant=served, backend_urls=deployment.backend_urls if own is None else (own,))

    return DeploymentChanged(
        task_id=deployment.task_id,
        revision=deployment.revision,
        champion=deployed(deployment.champion),
        candidates=tuple(deployed(variant) for variant in deployment.candidates),
        reason=deployment.reason,
        changed_at=deployment.changed_at,
        changed_by=deployment.changed_by,
    )


def variant_of(model: ModelVersion, task_id: str, generation: GenerationParameters) -> Variant:
    """A model version as it serves a task."""
    return Variant(
        variant_id=str(model.variant),
        task_id=task_id,
        base_model=model.base_model,
        model_name=model.variant.model_name,
        model_version=model.variant.version,
        served_name=model.served_name,
        adapter=model.artifact,
        generation=generation,
    )


async def put_in_charge(before: Deployment, after: Deployment, work: Work, *, reason: str, by: str) -> None:
    """Changes the champion and archives the old one. The caller holds the lock on the deployment."""
    await change_status(after.champion, work, ModelStatus.PRODUCTION, reason=reason, by=by)
    await change_deployment(after, work, reason=reason, by=by)
    await archive_if_unused(before.champion, work, reason=f"{after.champion} is in charge: {reason}", by=by)
    await end_release(after.champion, work, ReleaseState.PROMOTED, reason=reason)


async def withdraw_candidate(deployment: Deployment, variant: VariantId, work: Work, *, reason: str, by: str) -> None:
    """Takes a candidate out of a deployment. What was on its way to a verdict has lost it, and goes to the archive.

    The caller holds the lock on the deployment.
    """
    await change_deployment(deployment.without_candidate(variant), work, reason=reason, by=by)
    release = await find_release_of(work.session, variant, lock=True)
    if release is not None and release.state in {*WORKED_ON, ReleaseState.ON_TRIAL}:
        await end_release(variant, work, ReleaseState.RETIRED, reason=reason)
        await archive_if_unused(variant, work)


async def dismiss_candidate(deployment: Deployment, variant: VariantId, work: Work, *, reason: str) -> None:
    """Takes a candidate out of a deployment and archives it. The caller holds the lock on the deployment."""
    await change_deployment(deployment.without_candidate(variant), work, reason=reason, by=SERVICE)
    await archive_if_unused(variant, work)


async def archive_if_unused(
    variant: VariantId, work: Work, *, reason: str = "it leaves the deployment", by: str = SERVICE
) -> None:
    """Archives a version unless it is in charge of another task, as a base model may be."""
    if not _in_charge(variant, await list_deployments(work.session)):
        await change_status(variant, work, ModelStatus.ARCHIVED, reason=reason, by=by)


async def end_release(variant: VariantId, work: Work, state: ReleaseState, *, reason: str) -> None:
    """Ends the release that a version came from; a base model came from none."""
    release = await find_release_of(work.session, variant, lock=True)
    if release is None or release.state is state:
        return
    await save_release(work.session, replace(release, state=state, reason=reason, updated_at=datetime.now(UTC)))


def _in_charge(variant: VariantId, deployments: Iterable[Deployment]) -> bool:
    return any(deployment.champion == variant for deployment in deployments)

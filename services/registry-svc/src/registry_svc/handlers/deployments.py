"""Changes of what serves a task. Every one is a new revision, a line of history and a `deployment.changed`."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime

from loopwright.contracts.deployments import DeployedVariant, DeploymentChanged, Variant
from loopwright.contracts.tasks import GenerationParameters
from loopwright.unit_of_work import Work
from registry_svc.domain.deployments import Deployment
from registry_svc.domain.models import BASE_VERSION, ModelStatus, ModelVersion, VariantId, check_status_change
from registry_svc.domain.releases import ReleaseState
from registry_svc.store.deployments import find_deployment, list_deployments, save_deployment
from registry_svc.store.models import get_model, list_variants, save_status
from registry_svc.store.releases import find_release_of, save_release
from registry_svc.store.tasks import get_task

SERVICE = "registry-svc"


async def deploy_base(task_id: str, work: Work, *, backend_urls: tuple[str, ...]) -> None:
    """Puts the base model in charge of a task that nothing serves yet."""
    task = await get_task(work.session, task_id)
    if await find_deployment(work.session, task_id, lock=True) is not None:
        return
    base = VariantId(task.pack.base_model, BASE_VERSION)
    await set_status(base, work, ModelStatus.PRODUCTION)
    first = Deployment(
        task_id=task_id, revision=1, champion=base, candidates=(), backend_urls=backend_urls,
        reason="", changed_at=datetime.now(UTC), changed_by="",
    )  # fmt: skip
    await change_deployment(first, work, reason="the base model is served and nothing better is known", by=SERVICE)


async def refresh_backends(task_id: str, work: Work, *, backend_urls: tuple[str, ...]) -> None:
    """Says where the task is served after vLLM servers came or went."""
    deployment = await find_deployment(work.session, task_id, lock=True)
    if deployment is None or set(deployment.backend_urls) == set(backend_urls):
        return
    await change_deployment(deployment.with_backends(backend_urls), work, reason="the vLLM servers changed", by=SERVICE)


async def change_deployment(deployment: Deployment, work: Work, *, reason: str, by: str) -> None:
    """Saves a new revision and says so. The caller holds the lock on the deployment."""
    changed = replace(deployment, reason=reason, changed_at=datetime.now(UTC), changed_by=by)
    await save_deployment(work.session, changed)
    models = await list_variants(work.session, changed.variants)
    generation = (await get_task(work.session, changed.task_id)).pack.generation
    work.announce(deployment_changed(changed, models, generation))


def deployment_changed(
    deployment: Deployment, models: dict[VariantId, ModelVersion], generation: GenerationParameters
) -> DeploymentChanged:
    """The fact that a deployment is what it is."""

    def deployed(variant: VariantId) -> DeployedVariant:
        served = variant_of(models[variant], deployment.task_id, generation)
        return DeployedVariant(variant=served, backend_urls=deployment.backend_urls)

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
    await set_status(after.champion, work, ModelStatus.PRODUCTION)
    await change_deployment(after, work, reason=reason, by=by)
    await archive_if_unused(before.champion, work)
    await end_release(after.champion, work, ReleaseState.PROMOTED, reason=reason)


async def dismiss_candidate(deployment: Deployment, variant: VariantId, work: Work, *, reason: str) -> None:
    """Takes a candidate out of a deployment and archives it. The caller holds the lock on the deployment."""
    await change_deployment(deployment.without_candidate(variant), work, reason=reason, by=SERVICE)
    await archive_if_unused(variant, work)


async def archive_if_unused(variant: VariantId, work: Work) -> None:
    """Archives a version unless it is in charge of another task, as a base model may be."""
    if not _in_charge(variant, await list_deployments(work.session)):
        await set_status(variant, work, ModelStatus.ARCHIVED)


async def set_status(variant: VariantId, work: Work, status: ModelStatus) -> None:
    """Moves a version to a status; the reconciler moves the MLflow aliases after it.

    Raises:
        Conflict: the status cannot follow from the current one.
    """
    model = await get_model(work.session, variant)
    check_status_change(variant, model.status, status)
    if model.status is not status:
        await save_status(work.session, replace(model, status=status, updated_at=datetime.now(UTC)))


async def end_release(variant: VariantId, work: Work, state: ReleaseState, *, reason: str) -> None:
    """Ends the release that a version came from; a base model came from none."""
    release = await find_release_of(work.session, variant, lock=True)
    if release is None or release.state is state:
        return
    await save_release(work.session, replace(release, state=state, reason=reason, updated_at=datetime.now(UTC)))


def _in_charge(variant: VariantId, deployments: Iterable[Deployment]) -> bool:
    return any(deployment.champion == variant for deployment in deployments)

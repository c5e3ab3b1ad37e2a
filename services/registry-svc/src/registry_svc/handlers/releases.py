"""The steps of a finished job on its way to live traffic. Each locks, checks that it is still due, and says what it did."""

from dataclasses import replace
from datetime import UTC, datetime

from loopwright.contracts.jobs import JobFinished
from loopwright.contracts.models import ModelRegistered
from loopwright.errors import ServingUnavailable
from loopwright.telemetry import current_traceparent
from loopwright.unit_of_work import Work
from registry_svc.domain.deprecations import check_may_serve, why_not_served
from registry_svc.domain.models import BASE_VERSION, ModelStatus, ModelVersion, VariantId
from registry_svc.domain.releases import (
    WORKED_ON,
    Release,
    ReleaseState,
    check_transition,
    retry_delay,
    why_not_released,
)
from registry_svc.handlers.deployments import (
    SERVICE,
    archive_if_unused,
    change_deployment,
    dismiss_candidate,
    end_release,
)
from registry_svc.store.deployments import find_deployment
from registry_svc.store.deprecations import find_deprecation, lock_deprecations
from registry_svc.store.models import add_model, find_model, get_model, next_version
from registry_svc.store.releases import add_release, find_due_release, get_release, save_release
from registry_svc.store.tasks import find_task


async def record_finished_job(event: JobFinished, work: Work) -> None:
    """Begins the release of a job, or records why it gets none."""
    task = await find_task(work.session, event.task_id)
    refusal = why_not_released(
        event.state,
        adapter=event.adapter,
        base_model=event.base_model,
        task_base_model=None if task is None else task.pack.base_model,
    )
    if refusal is not None and event.reason:
        refusal = f"{refusal}: {event.reason}"
    now = datetime.now(UTC)
    release = Release(
        job_id=event.job_id,
        job_name=event.job_name,
        task_id=event.task_id,
        state=ReleaseState.RECEIVED if refusal is None else ReleaseState.FAILED,
        base_model=event.base_model,
        training_data=event.training_data,
        adapter=event.adapter,
        mlflow_run_id=event.mlflow_run_id,
        variant=None,
        reason=refusal,
        attempts=0,
        due_at=now,
        traceparent=current_traceparent(),
        created_at=now,
        updated_at=now,
    )
    await add_release(work.session, release)


async def next_due_release(work: Work) -> Release | None:
    return await find_due_release(work.session, datetime.now(UTC))


async def released_model(release: Release, work: Work) -> ModelVersion:
    """The model version that a registered release became."""
    assert release.variant is not None, "a registered release has a variant"
    return await get_model(work.session, release.variant)


async def postpone_release(job_id: str, work: Work, *, reason: str) -> None:
    """Puts the current step off, longer after every fruitless try."""
    release = await get_release(work.session, job_id, lock=True)
    if release.state not in WORKED_ON:
        return  # it ended meanwhile, and its reason says why
    now = datetime.now(UTC)
    due_at = now + retry_delay(release.attempts)
    await save_release(
        work.session,
        replace(release, attempts=release.attempts + 1, due_at=due_at, reason=reason, updated_at=now),
    )


async def fail_release(job_id: str, work: Work, *, reason: str) -> None:
    """Ends a release that cannot be served: whatever of it is deployed or registered goes to the archive."""
    seen = await get_release(work.session, job_id)
    deployment = await find_deployment(work.session, seen.task_id, lock=True)
    release = await get_release(work.session, job_id, lock=True)
    if release.state not in WORKED_ON:
        return
    await _advance(release, work, ReleaseState.FAILED, reason=reason)
    if release.variant is None:
        return
    if deployment is not None and release.variant in deployment.candidates:
        await dismiss_candidate(deployment, release.variant, work, reason=f"{release.variant} failed: {reason}")
    else:
        await archive_if_unused(release.variant, work)


async def register_release(job_id: str, work: Work, *, mlflow_version: int, mlflow_run_id: str) -> None:
    """Makes the adapter of a job a model version, once MLflow knows it; one that learned from erased data goes no further."""
    await lock_deprecations(work.session)
    release = await get_release(work.session, job_id, lock=True)
    if release.state is not ReleaseState.RECEIVED:
        return
    name = release.task_id
    now = datetime.now(UTC)
    deprecation = await find_deprecation(work.session, release.training_data.version_id)
    model = ModelVersion(
        variant=VariantId(name, await next_version(work.session, name)),
        task_id=release.task_id,
        base_model=release.base_model,
        format="lora",
        artifact=release.adapter,
        status=ModelStatus.STAGING,
        job_id=job_id,
        dataset_version_id=release.training_data.version_id,
        mlflow_version=mlflow_version,
        mlflow_run_id=mlflow_run_id,
        description=f"LoRA adapter of job {release.job_name}",
        created_by=SERVICE,
        created_at=now,
        updated_at=now,
        training_data_deprecated=deprecation,
    )
    await add_model(work.session, model)
    await _advance(release, work, ReleaseState.REGISTERED, variant=model.variant)
    work.announce(_model_registered(model, task_id=release.task_id))
    refusal = why_not_served(str(model.variant), deprecation)
    if refusal is not None:
        await end_release(model.variant, work, ReleaseState.FAILED, reason=refusal)
        await archive_if_unused(model.variant, work)


async def register_base_model(name: str, work: Work, *, task_id: str, mlflow_version: int, mlflow_run_id: str) -> None:
    """Makes a base model version 1 of itself, once MLflow knows it.

    Args:
        task_id: The first task that starts from it.
    """
    variant = VariantId(name, BASE_VERSION)
    await next_version(work.session, name)  # waits for whoever else registers it
    if await find_model(work.session, variant) is not None:
        return
    now = datetime.now(UTC)
    model = ModelVersion(
        variant=variant, task_id=None, base_model=name, format="huggingface", artifact=None,
        status=ModelStatus.STAGING, job_id=None, dataset_version_id=None, mlflow_version=mlflow_version,
        mlflow_run_id=mlflow_run_id, description="base model, served from its own folder", created_by=SERVICE,
        created_at=now, updated_at=now,
    )  # fmt: skip
    await add_model(work.session, model)
    work.announce(_model_registered(model, task_id=task_id))


async def deploy_candidate(job_id: str, work: Work, *, backend_urls: tuple[str, ...]) -> None:
    """Deploys a version beside the champion, once every vLLM server has its adapter.

    Raises:
        ServingUnavailable: there is no champion yet to deploy it beside.
        Conflict: it learned from data that was erased.
    """
    seen = await get_release(work.session, job_id)
    deployment = await find_deployment(work.session, seen.task_id, lock=True)
    if deployment is None:
        raise ServingUnavailable("serving.nothing-deployed", f"nothing serves the task {seen.task_id} yet")
    release = await get_release(work.session, job_id, lock=True)
    if release.state is not ReleaseState.REGISTERED:
        return
    assert release.variant is not None, "a registered release has a variant"
    model = await get_model(work.session, release.variant)
    check_may_serve(str(release.variant), model.training_data_deprecated)
    await _advance(release, work, ReleaseState.LOADED)
    await change_deployment(
        deployment.with_candidate(release.variant, backend_urls),
        work,
        reason=f"{release.variant} of job {release.job_name} is loaded and waits for its evaluation",
        by=SERVICE,
    )


async def _advance(
    release: Release, work: Work, state: ReleaseState, *, reason: str | None = None, variant: VariantId | None = None
) -> None:
    check_transition(release.state, state)
    now = datetime.now(UTC)
    await save_release(
        work.session,
        replace(
            release, state=state, reason=reason, variant=variant or release.variant, attempts=0, due_at=now,
            updated_at=now,
        ),
    )  # fmt: skip


def _model_registered(model: ModelVersion, *, task_id: str) -> ModelRegistered:
    return ModelRegistered(
        model_name=model.variant.model_name,
        model_version=model.variant.version,
        task_id=task_id,
        base_model=model.base_model,
        format=model.format,
        artifact=model.artifact,
        job_id=model.job_id,
        dataset_version_id=model.dataset_version_id,
        mlflow_uri=model.mlflow_uri,
        registered_at=model.created_at,
    )

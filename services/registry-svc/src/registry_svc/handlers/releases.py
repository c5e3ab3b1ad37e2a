"""The steps of a finished job on its way to live traffic. Each locks, checks that it is still due, and says what it did."""

from dataclasses import replace
from datetime import UTC, datetime

from loopwright.contracts.jobs import JobFinished
from loopwright.errors import ServingUnavailable
from loopwright.telemetry import current_traceparent
from loopwright.unit_of_work import Work
from registry_svc.adapters.adapter_files import Files
from registry_svc.adapters.mlflow import TrackedVersion
from registry_svc.domain.artefacts import ModelFormat
from registry_svc.domain.deprecations import check_may_serve, why_not_served
from registry_svc.domain.models import BASE_VERSION, ModelVersion, VariantId
from registry_svc.domain.registrations import Origin
from registry_svc.domain.releases import (
    WORKED_ON,
    Release,
    ReleaseState,
    check_transition,
    retry_delay,
    why_not_released,
)
from registry_svc.handlers.admission import Admission, admit
from registry_svc.handlers.deployments import (
    SERVICE,
    archive_if_unused,
    change_deployment,
    dismiss_candidate,
    end_release,
)
from registry_svc.store.deployments import find_deployment
from registry_svc.store.deprecations import lock_deprecations
from registry_svc.store.models import find_model, get_model, next_version
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


async def register_release(job_id: str, work: Work, *, tracked: TrackedVersion, files: Files) -> None:
    """Makes the adapter of a job a model version, once MLflow knows it; one that learned from erased data goes no further."""
    await lock_deprecations(work.session)
    release = await get_release(work.session, job_id, lock=True)
    if release.state is not ReleaseState.RECEIVED:
        return
    origin = origin_of_release(release)
    model = await admit(
        Admission(origin=origin, tracked=tracked, files=files, announced_for=release.task_id, by=SERVICE), work
    )
    await _advance(release, work, ReleaseState.REGISTERED, variant=model.variant)
    refusal = why_not_served(str(model.variant), model.training_data_deprecated)
    if refusal is not None:
        await end_release(model.variant, work, ReleaseState.FAILED, reason=refusal)
        await archive_if_unused(model.variant, work, reason=refusal)


def origin_of_release(release: Release) -> Origin:
    """What the version of a training job will be."""
    return Origin(
        name=release.task_id,
        subject=f"job:{release.job_id}",
        task_id=release.task_id,
        base_model=release.base_model,
        format=ModelFormat.LORA,
        artifact=release.adapter,
        job_id=release.job_id,
        dataset_version_id=release.training_data.version_id,
        mlflow_run_id=release.mlflow_run_id,
        description=f"LoRA adapter of job {release.job_name}",
    )


def origin_of_base_model(name: str) -> Origin:
    """What a base model is as a version."""
    return Origin(
        name=name, subject=f"base:{name}", task_id=None, base_model=name, format=ModelFormat.HUGGINGFACE,
        artifact=None, job_id=None, dataset_version_id=None, mlflow_run_id=None,
        description=f"Base model {name}, served from its own folder",
    )  # fmt: skip


async def register_base_model(name: str, work: Work, *, task_id: str, tracked: TrackedVersion) -> None:
    """Makes a base model version 1 of itself, once MLflow knows it.

    Args:
        task_id: The first task that starts from it.
    """
    await lock_deprecations(work.session)
    await next_version(work.session, name)  # waits for whoever else registers it
    if await find_model(work.session, VariantId(name, BASE_VERSION)) is not None:
        return
    origin = origin_of_base_model(name)
    await admit(Admission(origin=origin, tracked=tracked, files=None, announced_for=task_id, by=SERVICE), work)


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

"""Files become a version of a model: asked for, put off, refused, or admitted."""

import uuid
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import structlog

from loopwright.contracts.base import Artifact, RunState
from loopwright.contracts.jobs import JobFinished, JobKind
from loopwright.errors import Conflict
from loopwright.unit_of_work import Work
from registry_svc.adapters.adapter_files import Files
from registry_svc.adapters.mlflow import TrackedVersion
from registry_svc.domain.artefacts import ModelFormat, format_made_by
from registry_svc.domain.deprecations import why_not_served
from registry_svc.domain.models import NO_SETTINGS, DeploymentSettings
from registry_svc.domain.registrations import Registration, RegistrationState
from registry_svc.domain.releases import retry_delay
from registry_svc.handlers.admission import Admission, admit
from registry_svc.handlers.deployments import SERVICE, archive_if_unused
from registry_svc.store.deprecations import lock_deprecations
from registry_svc.store.registrations import (
    add_registration,
    find_due_registration,
    get_registration,
    save_registration,
)
from registry_svc.store.tasks import find_task, get_task

_log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class FilesOffered:
    """Files that somebody wants to be a version.

    Attributes:
        name: Of the model.
    """

    name: str
    task_id: str
    base_model: str
    format: ModelFormat
    artifact: Artifact
    settings: DeploymentSettings
    description: str
    tags: tuple[str, ...]
    by: str


async def request_registration(offered: FilesOffered, work: Work, *, reserved: Collection[str]) -> str:
    """Records a request; it is worked on after the transaction.

    Args:
        reserved: Names of base models, whose only version is themselves.

    Returns:
        Its id.

    Raises:
        NotFound: there is no such task.
        Conflict: the name belongs to another task or to a base model.
    """
    task = await get_task(work.session, offered.task_id)
    others_name = offered.name != offered.task_id and await find_task(work.session, offered.name) is not None
    if others_name or offered.name in {task.pack.base_model, offered.base_model, *reserved}:
        raise Conflict("model.name-reserved", f"models named {offered.name} are those of another task, or base models")
    now = datetime.now(UTC)
    registration = Registration(
        registration_id=f"reg-{uuid.uuid4()}", state=RegistrationState.WAITING, model_name=offered.name,
        task_id=offered.task_id, base_model=offered.base_model, format=offered.format, artifact=offered.artifact,
        job_id=None, dataset_version_id=None, mlflow_run_id=None, settings=offered.settings,
        description=offered.description, tags=offered.tags, requested_by=offered.by, due_at=now, created_at=now,
        updated_at=now,
    )  # fmt: skip
    await add_registration(work.session, registration)
    return registration.registration_id


async def record_product(event: JobFinished, work: Work) -> None:
    """Begins the registration of what a job made that is no candidate of its own: whole weights in some format."""
    made = event.adapter if event.kind is JobKind.TRAIN else event.product
    if event.state is not RunState.SUCCEEDED or made is None:
        _log.info("product.none", job_id=event.job_id, kind=event.kind, state=event.state, reason=event.reason)
        return
    now = datetime.now(UTC)
    await add_registration(
        work.session,
        Registration(
            registration_id=f"job-{event.job_id}", state=RegistrationState.WAITING, model_name=event.task_id,
            task_id=event.task_id, base_model=event.base_model, format=format_made_by(event.kind), artifact=made,
            job_id=event.job_id, dataset_version_id=event.training_data.version_id,
            mlflow_run_id=event.mlflow_run_id, settings=NO_SETTINGS,
            description=f"what the {event.kind} job {event.job_name} made", tags=(), requested_by=SERVICE, due_at=now,
            created_at=now, updated_at=now,
        ),
    )  # fmt: skip


async def next_due_registration(work: Work) -> Registration | None:
    return await find_due_registration(work.session, datetime.now(UTC))


async def postpone_registration(registration_id: str, work: Work, *, reason: str) -> None:
    """Puts it off, longer after every fruitless try."""
    waiting = await _waiting(registration_id, work)
    if waiting is not None:
        now = datetime.now(UTC)
        due_at = now + retry_delay(waiting.attempts)
        attempts = waiting.attempts + 1
        await save_registration(
            work.session, replace(waiting, attempts=attempts, due_at=due_at, reason=reason, updated_at=now)
        )


async def refuse_registration(registration_id: str, work: Work, *, reason: str) -> None:
    """Ends a registration whose files are no model, or not what was signed."""
    waiting = await _waiting(registration_id, work)
    if waiting is not None:
        refused = replace(waiting, state=RegistrationState.REFUSED, reason=reason, updated_at=datetime.now(UTC))
        await save_registration(work.session, refused)


async def complete_registration(registration_id: str, work: Work, *, tracked: TrackedVersion, files: Files) -> None:
    """Makes files a version in staging; they enter no release: a person evaluates and promotes them."""
    await lock_deprecations(work.session)
    waiting = await _waiting(registration_id, work)
    if waiting is None:
        return
    admission = Admission(
        origin=waiting.origin, tracked=tracked, files=files, announced_for=waiting.task_id, by=waiting.requested_by,
        tags=waiting.tags, settings=waiting.settings,
    )  # fmt: skip
    model = await admit(admission, work)
    done = replace(waiting, state=RegistrationState.REGISTERED, variant=model.variant, reason=None)
    await save_registration(work.session, replace(done, updated_at=datetime.now(UTC)))
    refusal = why_not_served(str(model.variant), model.training_data_deprecated)
    if refusal is not None:
        await archive_if_unused(model.variant, work, reason=refusal)


async def _waiting(registration_id: str, work: Work) -> Registration | None:
    found = await get_registration(work.session, registration_id, lock=True)
    return found if found.state is RegistrationState.WAITING else None

"""The log of uses, files on their way to become versions, and what MLflow knows beyond our rows, for readers."""

from datetime import datetime

from pydantic import Field

from loopwright.contracts.base import Artifact
from loopwright.pages import Page, Window
from loopwright.unit_of_work import Work
from registry_svc.domain.agreement import FindingKind
from registry_svc.domain.artefacts import ModelFormat
from registry_svc.domain.models import ModelStatus, VariantId
from registry_svc.domain.registrations import Registration, RegistrationState
from registry_svc.domain.uses import Use, UseKind
from registry_svc.queries.pages import View, page_of
from registry_svc.store.findings import page_findings
from registry_svc.store.models import get_model
from registry_svc.store.registrations import get_registration, page_registrations
from registry_svc.store.uses import page_uses


class UseView(View):
    """One line of the log."""

    kind: UseKind
    task_id: str | None = Field(description="task that it was done for")
    status: ModelStatus | None = Field(description="status that it has since; none where that did not change")
    reason: str
    by: str
    at: datetime


class RegistrationView(View):
    """Files on their way to become a version."""

    registration_id: str
    state: RegistrationState
    variant_id: str | None = Field(description="version that it became; none before that")
    reason: str | None = Field(description="why it was refused, or what it waits for")
    name: str
    task_id: str
    base_model: str
    format: ModelFormat
    artifact: Artifact
    job_id: str | None = Field(description="job that made the files; none for what was offered through the API")
    requested_by: str
    created_at: datetime
    updated_at: datetime


class FindingView(View):
    """A version in MLflow that is none of our rows. It is marked there, and never deleted."""

    model_name: str
    mlflow_version: int
    kind: FindingKind
    detail: str


def _view_use(use: Use) -> UseView:
    return UseView.model_validate(use)


def _view_registration(one: Registration) -> RegistrationView:
    return RegistrationView(
        registration_id=one.registration_id,
        state=one.state,
        variant_id=None if one.variant is None else str(one.variant),
        reason=one.reason,
        name=one.model_name,
        task_id=one.task_id,
        base_model=one.base_model,
        format=one.format,
        artifact=one.artifact,
        job_id=one.job_id,
        requested_by=one.requested_by,
        created_at=one.created_at,
        updated_at=one.updated_at,
    )


async def list_uses(work: Work, variant: VariantId, window: Window) -> Page[UseView]:
    """What was done with a version, newest first.

    Raises:
        NotFound: there is no such version.
    """
    await get_model(work.session, variant)
    return page_of(await page_uses(work.session, variant, window), window, _view_use)


async def list_registrations(work: Work, window: Window) -> Page[RegistrationView]:
    """Newest first."""
    return page_of(await page_registrations(work.session, window), window, _view_registration)


async def read_registration(work: Work, registration_id: str) -> RegistrationView:
    """One registration.

    Raises:
        NotFound: there is none of that id.
    """
    return _view_registration(await get_registration(work.session, registration_id))


async def list_mlflow_findings(work: Work, window: Window) -> Page[FindingView]:
    """What MLflow knows and we do not, as it was when they were compared last."""
    return page_of(await page_findings(work.session, window), window, FindingView.model_validate)

"""Finished jobs on their way, for readers: also those that never became a model version."""

from datetime import datetime

from pydantic import Field

from loopwright.pages import Page, Window
from loopwright.unit_of_work import Work
from registry_svc.domain.releases import Release, ReleaseState
from registry_svc.queries.pages import View, page_of
from registry_svc.store.releases import page_releases


class ReleaseView(View):
    """One finished job on its way."""

    job_id: str
    job_name: str
    task_id: str
    state: ReleaseState
    variant_id: str | None = Field(description="version that it became; none before it is registered")
    reason: str | None = Field(description="why it stands where it stands, or what it waits for")
    attempts: int = Field(description="tries of the current step that came to nothing")
    created_at: datetime
    updated_at: datetime


def _view_release(release: Release) -> ReleaseView:
    return ReleaseView(
        job_id=release.job_id,
        job_name=release.job_name,
        task_id=release.task_id,
        state=release.state,
        variant_id=None if release.variant is None else str(release.variant),
        reason=release.reason,
        attempts=release.attempts,
        created_at=release.created_at,
        updated_at=release.updated_at,
    )


async def list_releases(work: Work, window: Window) -> Page[ReleaseView]:
    """Newest first."""
    return page_of(await page_releases(work.session, window), window, _view_release)

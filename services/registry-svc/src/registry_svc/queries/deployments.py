"""Deployments for readers: what serves, and how that came about."""

from datetime import datetime

from pydantic import Field

from loopwright.pages import Page, Window
from loopwright.unit_of_work import Work
from registry_svc.domain.deployments import Deployment
from registry_svc.queries.pages import View, page_of
from registry_svc.store.deployments import get_deployment, page_changes, page_deployments


class DeploymentView(View):
    """One state of what serves a task."""

    task_id: str
    revision: int = Field(description="rises by one with every change; changes name the one that they were made on")
    champion: str = Field(description="variant in charge")
    candidates: tuple[str, ...] = Field(description="variants loaded beside it")
    backend_urls: tuple[str, ...] = Field(description="vLLM servers that answer for them")
    reason: str = Field(description="why it became so")
    changed_at: datetime
    changed_by: str


def view_deployment(deployment: Deployment) -> DeploymentView:
    return DeploymentView(
        task_id=deployment.task_id,
        revision=deployment.revision,
        champion=str(deployment.champion),
        candidates=tuple(str(variant) for variant in deployment.candidates),
        backend_urls=deployment.backend_urls,
        reason=deployment.reason,
        changed_at=deployment.changed_at,
        changed_by=deployment.changed_by,
    )


async def list_deployments(work: Work, window: Window) -> Page[DeploymentView]:
    return page_of(await page_deployments(work.session, window), window, view_deployment)


async def read_deployment(work: Work, task_id: str) -> DeploymentView:
    """The deployment of a task.

    Raises:
        NotFound: nothing serves it.
    """
    return view_deployment(await get_deployment(work.session, task_id))


async def read_deployment_history(work: Work, task_id: str, window: Window) -> Page[DeploymentView]:
    """Every state of a task's deployment, newest first.

    Raises:
        NotFound: nothing has ever served it.
    """
    await get_deployment(work.session, task_id)
    return page_of(await page_changes(work.session, task_id, window), window, view_deployment)

"""Test suites for readers."""

from datetime import datetime

from pydantic import Field

from loopwright.pages import Page, Window
from loopwright.unit_of_work import Work
from registry_svc.domain.suites import Suite, SuiteVersion
from registry_svc.queries.pages import View, page_of
from registry_svc.store.suites import (
    get_suite,
    get_suite_version,
    page_suite_cases,
    page_suite_versions,
    page_suites,
)


class SuiteVersionView(View):
    """One version of a suite; it never changes."""

    suite_id: str = Field(description="`<name>@<version>`: what evaluations name")
    name: str
    version: int
    sha256: str = Field(description="of the cases in canonical form, however the file spelled them")
    cases: int
    created_by: str
    created_at: datetime


class SuiteView(View):
    """A suite with its newest version."""

    name: str
    task_id: str
    description: str
    created_by: str
    created_at: datetime
    archived_at: datetime | None = Field(description="since when no evaluation may use it")
    newest: SuiteVersionView


class SuiteCaseView(View):
    """One case."""

    number: int = Field(description="from 1, in the order in which they were given")
    case_id: str
    input: str
    expected: str


def _view_suite(suite: Suite, newest: SuiteVersion) -> SuiteView:
    return SuiteView(
        name=suite.name,
        task_id=suite.task_id,
        description=suite.description,
        created_by=suite.created_by,
        created_at=suite.created_at,
        archived_at=suite.archived_at,
        newest=SuiteVersionView.model_validate(newest),
    )


async def list_suites(work: Work, window: Window, *, task_id: str | None, archived: bool) -> Page[SuiteView]:
    """Suites by name."""
    paged = await page_suites(work.session, window, task_id=task_id, archived=archived)
    return page_of(paged, window, lambda pair: _view_suite(*pair))


async def read_suite(work: Work, name: str) -> SuiteView:
    """One suite.

    Raises:
        NotFound: there is none of this name.
    """
    suite = await get_suite(work.session, name)
    return _view_suite(suite, await get_suite_version(work.session, f"{name}@{suite.version}"))


async def list_suite_versions(work: Work, name: str, window: Window) -> Page[SuiteVersionView]:
    """Versions of a suite, newest first.

    Raises:
        NotFound: there is no such suite.
    """
    await get_suite(work.session, name)
    return page_of(await page_suite_versions(work.session, name, window), window, SuiteVersionView.model_validate)


async def list_cases_of_suite(work: Work, suite_id: str, window: Window) -> Page[SuiteCaseView]:
    """Cases of one version, in their order.

    Raises:
        NotFound: there is no such version.
    """
    await get_suite_version(work.session, suite_id)
    return page_of(await page_suite_cases(work.session, suite_id, window), window, SuiteCaseView.model_validate)

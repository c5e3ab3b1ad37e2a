"""Test suites, their versions and the cases in them."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from loopwright.errors import NotFound
from loopwright.pages import Window
from registry_svc.domain.suites import Suite, SuiteCase, SuiteVersion, split_suite_id
from registry_svc.store.pages import Paged, Row, fetch_page
from registry_svc.store.tables import evaluations, suite_cases, suite_versions, suites


def _suite(row: Row) -> Suite:
    return Suite(
        name=row.name,
        task_id=row.task_id,
        description=row.description,
        version=row.version,
        created_by=row.created_by,
        created_at=row.created_at,
        archived_at=row.archived_at,
    )


def _version(row: Row) -> SuiteVersion:
    return SuiteVersion(
        name=row.name,
        version=row.version,
        sha256=row.sha256,
        cases=row.cases,
        created_by=row.created_by,
        created_at=row.created_at,
    )


def _case(row: Row) -> SuiteCase:
    return SuiteCase(number=row.number, case_id=row.case_id, input=row.input, expected=row.expected)


async def lock_suite(session: AsyncSession, name: str) -> None:
    """Lets nobody else create or change a suite of this name until the transaction ends."""
    await session.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtext(f"registry.suite:{name}"))))


async def find_suite(session: AsyncSession, name: str) -> Suite | None:
    row = (await session.execute(sa.select(suites).where(suites.c.name == name))).one_or_none()
    return None if row is None else _suite(row)


async def get_suite(session: AsyncSession, name: str) -> Suite:
    """One suite.

    Raises:
        NotFound: there is none of this name.
    """
    suite = await find_suite(session, name)
    if suite is None:
        raise NotFound("suite.not-found", f"there is no suite {name}", name=name)
    return suite


async def page_suites(
    session: AsyncSession, window: Window, *, task_id: str | None, archived: bool
) -> Paged[tuple[Suite, SuiteVersion]]:
    """Suites by name, each with its newest version.

    Args:
        archived: Whether archived ones are among them.
    """
    versions = suite_versions.c
    query = (
        sa.select(
            suites,
            versions.version.label("of_version"), versions.sha256, versions.cases,
            versions.created_by.label("version_by"), versions.created_at.label("version_at"),
        )
        .join(suite_versions, sa.and_(versions.name == suites.c.name, versions.version == suites.c.version))
        .order_by(suites.c.name)
    )  # fmt: skip
    if task_id is not None:
        query = query.where(suites.c.task_id == task_id)
    if not archived:
        query = query.where(suites.c.archived_at.is_(None))
    return await fetch_page(session, query, window, build=_with_newest)


def _with_newest(row: Row) -> tuple[Suite, SuiteVersion]:
    newest = SuiteVersion(
        name=row.name,
        version=row.of_version,
        sha256=row.sha256,
        cases=row.cases,
        created_by=row.version_by,
        created_at=row.version_at,
    )
    return _suite(row), newest


async def save_suite(session: AsyncSession, suite: Suite) -> None:
    """Adds a suite, or keeps its new state."""
    if await find_suite(session, suite.name) is None:
        await session.execute(sa.insert(suites).values(asdict(suite)))
        return
    await session.execute(
        sa.update(suites)
        .where(suites.c.name == suite.name)
        .values(description=suite.description, version=suite.version, archived_at=suite.archived_at)
    )


async def add_suite_version(session: AsyncSession, version: SuiteVersion, cases: Sequence[SuiteCase]) -> None:
    """Adds a version with its cases, which are at least one."""
    await session.execute(sa.insert(suite_versions).values(asdict(version)))
    of = {"name": version.name, "version": version.version}
    await session.execute(sa.insert(suite_cases), [of | asdict(case) for case in cases])


async def get_suite_version(session: AsyncSession, suite_id: str) -> SuiteVersion:
    """One version by `<name>@<version>`.

    Raises:
        NotFound: there is no such version.
        Invalid: the id is malformed.
    """
    name, version = split_suite_id(suite_id)
    columns = suite_versions.c
    query = sa.select(suite_versions).where(columns.name == name, columns.version == version)
    row = (await session.execute(query)).one_or_none()
    if row is None:
        raise NotFound("suite.version-not-found", f"there is no suite version {suite_id}", suite_id=suite_id)
    return _version(row)


async def page_suite_versions(session: AsyncSession, name: str, window: Window) -> Paged[SuiteVersion]:
    """Versions of a suite, newest first."""
    query = sa.select(suite_versions).where(suite_versions.c.name == name).order_by(suite_versions.c.version.desc())
    return await fetch_page(session, query, window, build=_version)


def _cases_of(suite_id: str) -> sa.Select[tuple[object, ...]]:
    name, version = split_suite_id(suite_id)
    columns = suite_cases.c
    return sa.select(suite_cases).where(columns.name == name, columns.version == version).order_by(columns.number)


async def list_suite_cases(session: AsyncSession, suite_id: str) -> Sequence[SuiteCase]:
    """The cases of one version, in their order."""
    return [_case(row) for row in await session.execute(_cases_of(suite_id))]


async def page_suite_cases(session: AsyncSession, suite_id: str, window: Window) -> Paged[SuiteCase]:
    """As `list_suite_cases`, a part at a time."""
    return await fetch_page(session, _cases_of(suite_id), window, build=_case)


async def is_suite_used(session: AsyncSession, name: str) -> bool:
    """Whether an evaluation was made on any version of a suite."""
    ids = sa.select(suite_versions.c.name + "@" + sa.cast(suite_versions.c.version, sa.Text)).where(
        suite_versions.c.name == name
    )
    used = sa.select(sa.exists().where(evaluations.c.suite_id.in_(ids)))
    return bool(await session.scalar(used))


async def delete_suite(session: AsyncSession, name: str) -> None:
    """Removes a suite with everything in it."""
    for table in (suite_cases, suite_versions, suites):
        await session.execute(sa.delete(table).where(table.c.name == name))


async def save_archived(session: AsyncSession, name: str, archived_at: datetime | None) -> None:
    await session.execute(sa.update(suites).where(suites.c.name == name).values(archived_at=archived_at))

"""Test suites: creating them, giving them new versions, putting them away; and the cases that evaluations ask."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from loopwright.errors import Conflict, Invalid
from loopwright.unit_of_work import Work
from registry_svc.domain.scoring import HeldOutCase
from registry_svc.domain.suites import (
    CaseRules,
    CasesRefused,
    Draft,
    Suite,
    SuiteVersion,
    accept_cases,
    check_usable,
    content_hash,
    held_out_cases,
)
from registry_svc.store.suites import (
    add_suite_version,
    delete_suite,
    find_suite,
    get_suite,
    get_suite_version,
    is_suite_used,
    list_suite_cases,
    lock_suite,
    save_archived,
    save_suite,
)
from registry_svc.store.tasks import get_task


@dataclass(frozen=True, kw_only=True)
class NewSuite:
    """What somebody wants a suite to be."""

    name: str
    task_id: str
    description: str
    drafts: Sequence[tuple[str, Draft]]
    by: str


async def create_suite(wanted: NewSuite, work: Work, *, most_cases: int) -> SuiteVersion:
    """Makes a suite with its first version.

    Raises:
        NotFound: there is no such task.
        Conflict: a suite of this name exists.
        Invalid: with every wrong case and its reason.
    """
    await lock_suite(work.session, wanted.name)
    if await find_suite(work.session, wanted.name) is not None:
        raise Conflict("suite.exists", f"the suite {wanted.name} exists already", name=wanted.name)
    suite = Suite(
        name=wanted.name,
        task_id=wanted.task_id,
        description=wanted.description,
        version=0,
        created_by=wanted.by,
        created_at=datetime.now(UTC),
        archived_at=None,
    )
    return await _add_version(suite, wanted.drafts, work, by=wanted.by, most_cases=most_cases)


async def renew_suite(
    name: str, drafts: Sequence[tuple[str, Draft]], work: Work, *, by: str, most_cases: int
) -> SuiteVersion:
    """Gives a suite a new version; the cases of the newest one again change nothing.

    Raises:
        NotFound: there is no such suite.
        Conflict: it is archived.
        Invalid: with every wrong case and its reason.
    """
    await lock_suite(work.session, name)
    suite = await get_suite(work.session, name)
    check_usable(suite)
    return await _add_version(suite, drafts, work, by=by, most_cases=most_cases)


async def _add_version(
    suite: Suite, drafts: Sequence[tuple[str, Draft]], work: Work, *, by: str, most_cases: int
) -> SuiteVersion:
    pack = (await get_task(work.session, suite.task_id)).pack
    rules = CaseRules(most_cases=most_cases, answer_schema=pack.answer_schema, answer_field=pack.answer_field)
    try:
        cases = accept_cases(drafts, rules)
    except CasesRefused as refused:
        raise cases_refused(refused) from refused
    sha256 = content_hash(cases)
    if suite.version:
        newest = await get_suite_version(work.session, f"{suite.name}@{suite.version}")
        if newest.sha256 == sha256:
            return newest
    version = SuiteVersion(
        name=suite.name,
        version=suite.version + 1,
        sha256=sha256,
        cases=len(cases),
        created_by=by,
        created_at=datetime.now(UTC),
    )
    await save_suite(work.session, replace(suite, version=version.version))
    await add_suite_version(work.session, version, cases)
    return version


def cases_refused(refused: CasesRefused) -> Invalid:
    """The refusal as callers see it: reasons by line."""
    reasons: dict[str, str] = {}
    for problem in refused.problems:
        before = reasons.get(problem.place)
        reasons[problem.place] = problem.reason if before is None else f"{before}; {problem.reason}"
    return Invalid("suite.cases-refused", str(refused), **reasons)


async def archive_suite(name: str, work: Work, *, archived: bool) -> None:
    """Takes a suite out of use, or back into it; what was evaluated on it stays.

    Raises:
        NotFound: there is no such suite.
    """
    await lock_suite(work.session, name)
    suite = await get_suite(work.session, name)
    if (suite.archived_at is not None) != archived:
        await save_archived(work.session, name, datetime.now(UTC) if archived else None)


async def remove_suite(name: str, work: Work) -> None:
    """Deletes a suite that nothing was evaluated on.

    Raises:
        NotFound: there is no such suite.
        Conflict: evaluations speak of it; it can be archived.
    """
    await lock_suite(work.session, name)
    await get_suite(work.session, name)
    if await is_suite_used(work.session, name):
        raise Conflict("suite.in-use", f"evaluations were made on {name}: archive it", name=name)
    await delete_suite(work.session, name)


async def usable_suite(suite_id: str, work: Work, *, task_id: str) -> SuiteVersion:
    """The version of a suite that an evaluation of a task is to ask; it cannot be deleted meanwhile.

    Raises:
        NotFound: there is no such version.
        Conflict: it is archived, or of another task.
        Invalid: the id is malformed.
    """
    version = await get_suite_version(work.session, suite_id)
    await lock_suite(work.session, version.name)
    suite = await get_suite(work.session, version.name)
    check_usable(suite)
    if suite.task_id != task_id:
        raise Conflict("suite.other-task", f"{suite_id} is of {suite.task_id}, not of {task_id}", task_id=suite.task_id)
    return version


async def cases_of_suite(suite_id: str, work: Work) -> tuple[HeldOutCase, ...]:
    """What an evaluation on a suite asks."""
    return held_out_cases(await list_suite_cases(work.session, suite_id))

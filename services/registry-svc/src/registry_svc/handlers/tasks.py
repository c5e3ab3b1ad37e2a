"""Declares tasks. A change is a new version; the newest is announced whole."""

from datetime import UTC, datetime

from loopwright.contracts.tasks import TaskDefined
from loopwright.errors import Conflict
from loopwright.unit_of_work import Work
from registry_svc.domain.packs import PackProblem, PackRefused, TaskPack
from registry_svc.handlers.deployments import SERVICE, change_deployment
from registry_svc.store.deployments import find_deployment
from registry_svc.store.tasks import (
    PackFile,
    Task,
    add_task_version,
    find_task,
    forget_pack_files,
    get_task,
    list_pack_files,
    lock_task,
    save_pack_file,
)


async def declare_task(pack: TaskPack, work: Work, *, by: str) -> Task:
    """Declares a task that does not exist yet.

    Raises:
        Conflict: it does.
    """
    await lock_task(work.session, pack.task_id)
    if await find_task(work.session, pack.task_id) is not None:
        raise Conflict("task.exists", f"the task {pack.task_id} exists already", task_id=pack.task_id)
    return await _define(pack, work, by=by)


async def change_task(pack: TaskPack, work: Work, *, by: str, seen_version: int) -> Task:
    """Declares a task anew.

    Args:
        seen_version: Version that the change was made on.

    Raises:
        NotFound: there is no such task.
        Conflict: somebody else changed it meanwhile, or the change is not allowed.
    """
    await lock_task(work.session, pack.task_id)
    current = await get_task(work.session, pack.task_id)
    if current.version != seen_version:
        raise Conflict(
            "task.changed-meanwhile",
            f"the task {pack.task_id} is at version {current.version}, not {seen_version}: look again",
            version=current.version,
        )
    return await _define(pack, work, by=by)


async def record_pack(file: str, work: Work, *, sha256: str, outcome: TaskPack | PackRefused) -> PackFile:
    """Keeps what became of a changed pack file, and declares its task if it can be read."""
    problems: tuple[PackProblem, ...] = ()
    task_id: str | None = None
    if isinstance(outcome, PackRefused):
        problems = outcome.problems
    else:
        problems = await _declare_from_pack(file, outcome, work)
        task_id = None if problems else outcome.task_id
    pack_file = PackFile(file=file, sha256=sha256, task_id=task_id, problems=problems, read_at=datetime.now(UTC))
    await save_pack_file(work.session, pack_file)
    return pack_file


async def read_packs_so_far(work: Work, *, present: frozenset[str]) -> dict[str, str]:
    """Hash by file name of the packs that were read, less those that are gone."""
    await forget_pack_files(work.session, present=present)
    return {pack_file.file: pack_file.sha256 for pack_file in await list_pack_files(work.session)}


async def _declare_from_pack(file: str, pack: TaskPack, work: Work) -> tuple[PackProblem, ...]:
    for other in await list_pack_files(work.session):
        if other.task_id == pack.task_id and other.file != file:
            return (PackProblem("task_id", f"{pack.task_id} is declared by {other.file} already"),)
    await lock_task(work.session, pack.task_id)
    try:
        await _define(pack, work, by=f"pack {file}")
    except Conflict as error:
        return (PackProblem("base_model", error.detail),)
    return ()


async def _define(pack: TaskPack, work: Work, *, by: str) -> Task:
    current = await find_task(work.session, pack.task_id)
    if current is not None and current.pack == pack:
        return current
    if current is not None and current.pack.base_model != pack.base_model:
        raise Conflict(
            "task.base-model-fixed",
            f"the base model of {pack.task_id} is {current.pack.base_model} and cannot change: declare another task",
        )
    version = 1 if current is None else current.version + 1
    task = Task(pack=pack, version=version, defined_at=datetime.now(UTC), defined_by=by)
    await add_task_version(work.session, task)
    work.announce(task_defined(task))
    if current is not None and current.pack.generation != pack.generation:
        await _say_generation(task, work)
    return task


async def _say_generation(task: Task, work: Work) -> None:
    """Variants carry the task's generation parameters, so that a change of these is a change of the deployment."""
    deployment = await find_deployment(work.session, task.task_id, lock=True)
    if deployment is not None:
        reason = f"version {task.version} of the task generates differently"
        await change_deployment(deployment.with_backends(deployment.backend_urls), work, reason=reason, by=SERVICE)


def task_defined(task: Task) -> TaskDefined:
    """The fact that a task is what it is."""
    declared = {name: getattr(task.pack, name) for name in TaskPack.model_fields}
    return TaskDefined(**declared, version=task.version, defined_at=task.defined_at, defined_by=task.defined_by)

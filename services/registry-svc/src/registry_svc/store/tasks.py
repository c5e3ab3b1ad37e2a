"""Tasks and the packs that they were read from. Every version of a task is kept; the highest is the task."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from pydantic import TypeAdapter
from sqlalchemy.dialects.postgresql import distinct_on, insert
from sqlalchemy.ext.asyncio import AsyncSession

from loopwright.errors import NotFound
from loopwright.pages import Window
from registry_svc.domain.packs import PackProblem, TaskPack
from registry_svc.store.pages import Paged, fetch_page
from registry_svc.store.tables import task_packs, tasks

_problems = TypeAdapter(list[PackProblem])


@dataclass(frozen=True, kw_only=True)
class Task:
    """One version of a task."""

    pack: TaskPack
    version: int
    defined_at: datetime
    defined_by: str

    @property
    def task_id(self) -> str:
        return self.pack.task_id


@dataclass(frozen=True, kw_only=True)
class PackFile:
    """What became of a pack file when it was last read.

    Attributes:
        task_id: Task that it declares; None while it is refused.
        problems: Why it is refused; none when it is not.
    """

    file: str
    sha256: str
    task_id: str | None
    problems: tuple[PackProblem, ...]
    read_at: datetime


def _task(row: sa.Row[tuple[object, ...]]) -> Task:
    return Task(
        pack=TaskPack.model_validate(row.declaration),
        version=row.version,
        defined_at=row.defined_at,
        defined_by=row.defined_by,
    )


def _pack_file(row: sa.Row[tuple[object, ...]]) -> PackFile:
    problems = tuple(_problems.validate_python(row.problems))
    return PackFile(file=row.file, sha256=row.sha256, task_id=row.task_id, problems=problems, read_at=row.read_at)


async def lock_task(session: AsyncSession, task_id: str) -> None:
    """Lets one transaction at a time change a task, whether it exists or not."""
    await session.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtext(f"registry.task:{task_id}"))))


def _newest_of_each() -> sa.Select[tuple[object, ...]]:
    return sa.select(tasks).ext(distinct_on(tasks.c.task_id)).order_by(tasks.c.task_id, tasks.c.version.desc())


async def find_task(session: AsyncSession, task_id: str) -> Task | None:
    newest = sa.select(tasks).where(tasks.c.task_id == task_id).order_by(tasks.c.version.desc()).limit(1)
    row = (await session.execute(newest)).one_or_none()
    return None if row is None else _task(row)


async def get_task(session: AsyncSession, task_id: str) -> Task:
    """The newest version of a task.

    Raises:
        NotFound: there is no such task.
    """
    task = await find_task(session, task_id)
    if task is None:
        raise NotFound("task.not-found", f"there is no task {task_id}", task_id=task_id)
    return task


async def list_tasks(session: AsyncSession) -> list[Task]:
    """The newest version of every task, by name."""
    return [_task(row) for row in await session.execute(_newest_of_each())]


async def page_tasks(session: AsyncSession, window: Window) -> Paged[Task]:
    """As `list_tasks`, a part at a time."""
    return await fetch_page(session, _newest_of_each(), window, build=_task)


async def page_task_versions(session: AsyncSession, task_id: str, window: Window) -> Paged[Task]:
    """Every version of a task, newest first."""
    query = sa.select(tasks).where(tasks.c.task_id == task_id).order_by(tasks.c.version.desc())
    return await fetch_page(session, query, window, build=_task)


async def add_task_version(session: AsyncSession, task: Task) -> None:
    await session.execute(
        sa.insert(tasks).values(
            task_id=task.task_id,
            version=task.version,
            declaration=task.pack.model_dump(mode="json"),
            defined_at=task.defined_at,
            defined_by=task.defined_by,
        )
    )


async def list_pack_files(session: AsyncSession) -> list[PackFile]:
    return [_pack_file(row) for row in await session.execute(sa.select(task_packs).order_by(task_packs.c.file))]


async def page_pack_files(session: AsyncSession, window: Window) -> Paged[PackFile]:
    return await fetch_page(session, sa.select(task_packs).order_by(task_packs.c.file), window, build=_pack_file)


async def save_pack_file(session: AsyncSession, pack_file: PackFile) -> None:
    values = {
        "sha256": pack_file.sha256,
        "task_id": pack_file.task_id,
        "problems": _problems.dump_python(list(pack_file.problems), mode="json"),
        "read_at": pack_file.read_at,
    }
    statement = insert(task_packs).values(file=pack_file.file, **values)
    await session.execute(statement.on_conflict_do_update(index_elements=["file"], set_=values))


async def forget_pack_files(session: AsyncSession, *, present: Collection[str]) -> Sequence[str]:
    """Forgets files that are no longer there; the tasks that they declared stay.

    Returns:
        Names of the forgotten files.
    """
    gone = sa.delete(task_packs).where(task_packs.c.file.not_in(present)).returning(task_packs.c.file)
    return (await session.execute(gone)).scalars().all()

"""Tasks and packs for readers."""

from datetime import datetime

from pydantic import Field

from loopwright.pages import Page, Window
from loopwright.unit_of_work import Work
from registry_svc.domain.packs import TaskPack
from registry_svc.queries.pages import View, page_of
from registry_svc.store.tasks import (
    PackFile,
    Task,
    get_task,
    page_pack_files,
    page_task_versions,
    page_tasks,
)


class TaskView(View):
    """One version of a task."""

    task_id: str
    version: int = Field(description="rises by one with every change")
    declaration: TaskPack = Field(description="what was declared")
    defined_at: datetime
    defined_by: str = Field(description="`pack <file>`, or the subject that declared it through the API")


class PackProblemView(View):
    """One thing that is wrong with a pack."""

    field: str = Field(description="path of the field; `pack` for the whole file")
    reason: str


class PackFileView(View):
    """A pack file as it was last read."""

    file: str
    accepted: bool
    task_id: str | None = Field(description="task that it declares; none while it is refused")
    problems: tuple[PackProblemView, ...] = Field(description="why it is refused")
    read_at: datetime


def view_task(task: Task) -> TaskView:
    return TaskView(
        task_id=task.task_id,
        version=task.version,
        declaration=task.pack,
        defined_at=task.defined_at,
        defined_by=task.defined_by,
    )


def _view_pack_file(pack_file: PackFile) -> PackFileView:
    problems = tuple(PackProblemView.model_validate(problem) for problem in pack_file.problems)
    return PackFileView(
        file=pack_file.file,
        accepted=not problems,
        task_id=pack_file.task_id,
        problems=problems,
        read_at=pack_file.read_at,
    )


async def list_tasks(work: Work, window: Window) -> Page[TaskView]:
    return page_of(await page_tasks(work.session, window), window, view_task)


async def read_task(work: Work, task_id: str) -> TaskView:
    """The newest version of a task.

    Raises:
        NotFound: there is no such task.
    """
    return view_task(await get_task(work.session, task_id))


async def read_task_history(work: Work, task_id: str, window: Window) -> Page[TaskView]:
    """Every version of a task, newest first.

    Raises:
        NotFound: there is no such task.
    """
    await get_task(work.session, task_id)
    return page_of(await page_task_versions(work.session, task_id, window), window, view_task)


async def list_packs(work: Work, window: Window) -> Page[PackFileView]:
    return page_of(await page_pack_files(work.session, window), window, _view_pack_file)

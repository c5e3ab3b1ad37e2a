"""Puts similar cases beside a question, for the tasks that want them."""

from dataclasses import replace
from typing import Protocol

from loopwright.contracts.tasks import Retrieval
from router_svc.domain.retrieving import Passage, query_of, template_with
from router_svc.domain.snapshot import Task


class Library(Protocol):
    """Where similar cases are looked up; never fails, but may find none."""

    async def similar(self, query: str, retrieval: Retrieval) -> list[Passage]: ...


async def enrich(task: Task, user_input: str | None, library: Library | None) -> Task:
    """The task with similar cases in its template; as it was if it wants none, or none can be had in time.

    What the user sent stays what it was: events keep it, and models learn from it, without the cases.
    """
    query = "" if user_input is None else query_of(user_input)
    if task.retrieval is None or library is None or not query:
        return task
    passages = await library.similar(query, task.retrieval)
    return replace(task, user_template=template_with(passages, task.retrieval, user_template=task.user_template))

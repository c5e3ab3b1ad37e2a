"""Collecting that a person asks for: a look at what there is, or runs of a task's sources."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from feedback_svc.domain.collecting import Counts
from feedback_svc.domain.sources.source import Teaching
from feedback_svc.handlers.collecting import ask_for_run, preview
from feedback_svc.store.tasks import Task, get_task
from loopwright.contracts.tasks import SourcePolicy
from loopwright.errors import NotFound
from loopwright.unit_of_work import Work

_EXAMPLES = 3


@dataclass(frozen=True, kw_only=True)
class Preview:
    """What the newest records of a task's sources would teach.

    Attributes:
        examples: Up to three samples, each with its source.
    """

    counts: Mapping[str, Counts]
    examples: tuple[tuple[str, Teaching], ...]


async def preview_task(task_id: str, source: str | None, work: Work, *, now: datetime) -> Preview:
    """What the newest records would teach, without anything being kept.

    Raises:
        NotFound: there is no such task, or it does not declare this source.
        Invalid: it declares a source that there is not, or options that it does not take.
    """
    task = await get_task(work.session, task_id)
    counts: dict[str, Counts] = {}
    examples: list[tuple[str, Teaching]] = []
    for policy in _chosen(task, source):
        counts[policy.source], taught = await preview(policy, work, now=now)
        examples += [(policy.source, one) for one in taught[:_EXAMPLES]]
    return Preview(counts=counts, examples=tuple(examples[:_EXAMPLES]))


async def collect_task(task_id: str, source: str | None, work: Work, *, by: str, now: datetime) -> tuple[str, ...]:
    """Asks for runs of a task's sources.

    Returns:
        Ids of the runs; a source with an open run gets no second one.

    Raises:
        As `preview_task`.
    """
    task = await get_task(work.session, task_id)
    why = (f"{by} asked for it", by)
    asked = [await ask_for_run(task, policy, work, why=why, now=now) for policy in _chosen(task, source)]
    return tuple(run_id for run_id in asked if run_id is not None)


def _chosen(task: Task, source: str | None) -> list[SourcePolicy]:
    chosen = [one for one in task.policies.sources if one.enabled and source in {None, one.source}]
    if not chosen:
        what = f"does not learn from {source}" if source else "learns from no source of upstream records"
        raise NotFound("learn.no-source", f"{task.task_id} {what}", task_id=task.task_id)
    return chosen

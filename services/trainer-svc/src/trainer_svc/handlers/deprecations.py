"""A dataset version must not be learned from any more: its jobs are marked, and those that have not ended are stopped."""

import structlog

from loopwright.contracts.base import RunState
from loopwright.contracts.datasets import DatasetDeprecated
from loopwright.unit_of_work import Work
from trainer_svc.domain.deprecations import deprecation_of, outweighs, refusal
from trainer_svc.domain.jobs import ENDED, Ending
from trainer_svc.handlers.endings import announce_finished
from trainer_svc.store import deprecations, jobs

_log = structlog.get_logger()


async def deprecate_data(unit: Work, event: DatasetDeprecated) -> None:
    """Takes waiting jobs on the version out of the queue, asks running ones to stop, and marks all of them.

    A version that is not known here yet is remembered, for the jobs that are still to come.
    """
    session, version_id, deprecation = unit.session, event.version_id, deprecation_of(event)
    await deprecations.lock(session)
    if not outweighs(deprecation, await deprecations.find(session, version_id)):
        return
    await deprecations.keep(session, version_id, deprecation)
    for row in await deprecations.mark_jobs(session, version_id, deprecation):
        state = RunState(row.state)
        if state is RunState.QUEUED:
            ending = Ending(state=RunState.STOPPED, reason=refusal(version_id, deprecation))
            await announce_finished(unit, row, ending)
        elif state not in ENDED:
            await jobs.change(session, row.job_id, {"stop_requested": True})
        _log.warning(
            "job.data-deprecated", job_id=row.job_id, was=str(state), version_id=version_id, reason=deprecation.reason
        )

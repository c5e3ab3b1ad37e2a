"""A person takes back what is on trial; what is in charge already, registry-svc takes back."""

from datetime import datetime

from feedback_svc.handlers.people import Request, conclude_experiment
from feedback_svc.store.experiments import list_open
from feedback_svc.store.tasks import get_task
from loopwright.unit_of_work import Work


async def take_back_trials(task_id: str, work: Work, *, by: str, now: datetime) -> tuple[str, ...]:
    """Ends every experiment of a task that meets live traffic, with its champion as the winner.

    Returns:
        Ids of those that were ended; none if nothing was on trial.

    Raises:
        NotFound: there is no such task.
    """
    await get_task(work.session, task_id, lock=True)
    active = [one for one in await list_open(work.session, task_id) if one.is_active]
    for one in active:
        request = Request(experiment_id=one.experiment_id, by=by, at=now)
        await conclude_experiment(request, work, winner_variant_id=one.champion_variant_id)
    return tuple(one.experiment_id for one in active)

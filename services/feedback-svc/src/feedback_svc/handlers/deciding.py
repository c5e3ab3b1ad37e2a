"""The decision on a running experiment: looked at without any lock, taken under the locks, after looking again."""

from datetime import datetime

from feedback_svc.domain.assessment import NewWeights, assess, due_change
from feedback_svc.domain.experiments import BY_EVIDENCE, Ending, Experiment
from feedback_svc.handlers.experiments import change_weights, end_experiment, start_next
from feedback_svc.store.experiments import find_experiment, save_looks
from feedback_svc.store.observations import observe
from feedback_svc.store.tasks import find_task
from loopwright.unit_of_work import Work


async def look_at(experiment: Experiment, work: Work, *, now: datetime) -> Ending | NewWeights | None:
    """What evidence or time ask for at this moment; changes nothing but the looks that were taken."""
    assessment = assess(experiment, await observe(work.session, experiment))
    change = due_change(experiment, assessment, now=now)
    if change is None and assessment.analysis.look > experiment.looks_taken:
        await save_looks(work.session, experiment.experiment_id, assessment.analysis.look)
    return change


async def decide_experiment(experiment_id: str, task_id: str, work: Work, *, now: datetime) -> bool:
    """Does to an experiment what is due; False if nothing is, or somebody else did it meanwhile."""
    if await find_task(work.session, task_id, lock=True) is None:
        return False
    experiment = await find_experiment(work.session, experiment_id, lock=True)
    if experiment is None or not experiment.is_active:
        return False
    change = await look_at(experiment, work, now=now)
    match change:
        case Ending():
            await end_experiment(experiment, change, work)
            await start_next(task_id, work, now=now)
        case NewWeights():
            await change_weights(experiment, change, work, by=BY_EVIDENCE, now=now)
        case None:
            pass
    return change is not None
